"""Files of documents: how they are read before they are tagged, and written afterwards."""
