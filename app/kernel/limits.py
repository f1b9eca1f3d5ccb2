"""What a request may be, whichever way it comes."""

# A body over HTTP, a message over a WebSocket.
BODY_BYTES_MAX = 256 * 1024
