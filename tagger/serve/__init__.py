"""The tagger in a browser and over HTTP: `python -m tagger.serve FOLDER`.

It needs the packages of the extra `serve`. `tagger.serve.app` is what it answers, its limits
included; `tagger.serve.batcher` tags the requests that come together; `tagger.serve.connection`
ends connections that are too slow; `tagger.serve.__main__` binds the address and runs them.
"""
