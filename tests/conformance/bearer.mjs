// Every request of this process carries FORUM_TOKEN: the suite has no option for it. Loaded by node --import.
import http from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { Agent, setGlobalDispatcher } = createRequire(pathToFileURL(process.argv[1]))("undici");
const bearer = `Bearer ${process.env.FORUM_TOKEN}`;

const authorized = (dispatch) => (options, handler) => {
  const given = options.headers ?? {};
  const headers = Array.isArray(given) ? [...given, "authorization", bearer] : { ...given, authorization: bearer };
  return dispatch({ ...options, headers }, handler);
};
setGlobalDispatcher(new Agent().compose(authorized));

const request = http.request;
http.request = (...given) => {
  const made = request(...given);
  made.setHeader("authorization", bearer);
  return made;
};
