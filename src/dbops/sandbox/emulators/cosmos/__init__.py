"""A server that answers as the SQL API of Azure Cosmos DB does, as far as azure-cosmos asks."""
