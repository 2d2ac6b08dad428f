"""The command `agentplatform`."""
