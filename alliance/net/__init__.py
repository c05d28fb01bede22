"""gRPC, TLS and asyncio as all rooms use them."""
