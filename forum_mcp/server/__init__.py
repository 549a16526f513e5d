"""The server: MCP over stdio and streamable HTTP, in both protocol eras, on the SDK's session.

A request only looks at the forum; runs live outside requests. Only ``errors.py`` translates our errors to MCP's, only
``sdk.py`` touches private parts of the SDK, and nothing of the engine is imported before the first call needs it.

Where things are:

    the server itself                   app lifespan instructions rendering errors sdk
    over stdio                          stdio descriptors
    over HTTP                           http http_gate http_messages http_connections http_sessions http_drain
    who asks over HTTP                  auth auth_jwt
    a message before the session        wire admission
    news of the record                  changes subscriptions seats
    runs as tasks                       tasks run_tasks
    what a run asks of a client         inputs asking approvals sampling request_state
"""
