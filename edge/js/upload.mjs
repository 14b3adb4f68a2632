// The body of a request on its way to the origin: handed over as it comes, never held. It goes through a stream of the runtime's own, without a
// line of JavaScript per piece, only so that two things are known: when it is over, and whether it broke off.

/**
 * Begins to hand over the body of `request`. Gives the stream to send, and a promise: `true` when the whole body is handed over, `false` when it
 * broke off, because the client went away or does not speak HTTP, or because nobody takes it any more.
 *
 * A body that broke off is never ended: an origin that takes `Transfer-Encoding: chunked` would believe that it has all of it. Whoever sends the
 * stream has to give up sending instead.
 */
export function handOver(request) {
  const length = request.headers.get("content-length");
  const { readable, writable } = length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
  const whole = request.body.pipeTo(writable, { preventAbort: true }).then(
    () => true,
    () => false,
  );
  return { body: readable, whole };
}
