"""How large requests and answers may be, whichever way they travel."""

# A body over HTTP, a message over a WebSocket.
BODY_BYTES_MAX = 256 * 1024

# An answer: more than an operation of the greatest cost gives, unless its unpaged lists are very long.
ANSWER_BYTES_MAX = 16 * 1024 * 1024
