# The server in a container of its own, as a user without rights; the ledger and its keys lie in /data.
#   docker build -t forum-mcp .
#   docker run -i --rm -v forum-data:/data forum-mcp              # what a client starts: MCP over stdio
#   docker run --rm -v forum-data:/data forum-mcp ledger verify
#   docker run --rm -v forum-data:/data -p 127.0.0.1:8731:8731 forum-mcp \
#     serve --http --host 0.0.0.0 --allow-remote --public-url http://127.0.0.1:8731    # the token: /data/http-token
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY forum_mcp ./forum_mcp
RUN python -m venv /opt/forum && /opt/forum/bin/pip install --no-cache-dir .

FROM python:3.13-slim
LABEL io.modelcontextprotocol.server.name="io.github.forum-mcp/forum-mcp"
RUN useradd --create-home --uid 10001 forum && install -d -m 0700 -o forum -g forum /data
COPY --from=build /opt/forum /opt/forum
ENV PATH=/opt/forum/bin:$PATH FORUM_STATE_DIR=/data PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /home/forum
VOLUME /data
ENTRYPOINT ["forum-mcp"]
CMD ["mcp"]
