"""What assistants ask a catalog by the Model Context Protocol, with its SDK, `mcp`."""
