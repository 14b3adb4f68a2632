// The floor of a gateway: a Worker that only forwards.

export default {
  fetch(request, env) {
    const { url } = request;
    return fetch(env.ORIGIN_URL + url.slice(url.indexOf("/", 8)), request);
  },
};
