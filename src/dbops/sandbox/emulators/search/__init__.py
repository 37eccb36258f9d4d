"""Azure AI Search as its clients see it: definitions, documents, statistics; queries lie in `query`."""
