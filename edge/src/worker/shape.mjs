// The shape that the setting ACCEPT_IMPORTED declares for imported keys, as a regular expression: an engine for those is part of the runtime
// and would be half of the verifier's WebAssembly. What becomes of a text that has the shape is the verifier's business.

/** The most characters of an expression. */
const LONGEST = 1_000;
/**
 * The most ways in which a text may be taken apart: the product of how many lengths each part can have, and two for each alternative. An engine
 * that backtracks may try all.
 */
const MOST_WAYS = 1_000_000;
/** The longest text that is tried. */
const LONGEST_TEXT = 512;

let shape;

/** Takes the expression; an empty one declares nothing. Gives what is wrong with it, `undefined` where it can be used. */
export function declare(source) {
  shape = undefined;
  if (source === "") return undefined;
  if (source.length > LONGEST) return `must be at most ${LONGEST} characters long`;
  try {
    new RegExp(source, "u"); // alone: inside the parentheses below `a)|(b` would be one, too
  } catch (error) {
    return `is no regular expression: ${error.message}`;
  }
  const problem = costly(source);
  if (problem === undefined) shape = new RegExp(`^(?:${source})$`, "u");
  return problem;
}

/** Whether the whole of `text` has the declared shape. */
export function hasShape(text) {
  try {
    return shape !== undefined && shape.test(text);
  } catch {
    return false; // the engine ran out of stack
  }
}

/**
 * Why trying a valid expression could take for ever: nobody can stop it, and who sends the text is not known. So what repeats a repetition, or looks
 * elsewhere in the text, is refused, and parts may not vary in too many ways.
 */
function costly(source) {
  // Escapes and classes are one character each here.
  const plain = source.replace(/\\(?:[ux]\{?[0-9A-Fa-f]+\}?|[pP]\{[^}]*\}|c[A-Za-z]|[^1-9k])/g, "x").replace(/\[[^\]]*\]/g, "x");
  if (/\\[1-9k]|\(\?<?[=!]/.test(plain)) return "must do without back-references and lookaround";
  if (/\)(?:[*+]|\{\d+,)/.test(plain)) return "must repeat no group but a fixed number of times";
  let ways = 2 ** (plain.match(/\|/g)?.length ?? 0);
  for (const [quantifier, least, most] of plain.matchAll(/(?<!\()(?:[*+?]|\{(\d+),(\d*)\})\??/g)) {
    if (quantifier.startsWith("?")) ways *= 2;
    else ways *= most ? most - least + 1 : LONGEST_TEXT;
  }
  if (ways > MOST_WAYS) return "must have fewer parts that vary";
  if (ways > 1 && /\)\{\d+\}/.test(plain)) return "must have no part that varies where a group is repeated";
  return undefined;
}
