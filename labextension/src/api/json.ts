/** JSON as Python writes it: whole numbers of any length stay what they are, as `bigint` where a `number` could not hold them. */

const LONG = /(?<![\d.])\d{16,}(?![\d.eE])/;
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
// no text from outside begins with it
const MARK = `int-${Math.random().toString(36).slice(2)}-`;
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, 'g');

/** @throws SyntaxError */
export function parse(text: string): unknown {
  if (!LONG.test(text)) {
    return JSON.parse(text);
  }
  const marked = text.replace(TOKENS, token => {
    const whole = /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token));
    return whole ? `"${MARK}${token}"` : token;
  });
  return JSON.parse(marked, (_, value) =>
    typeof value === 'string' && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value
  );
}

/** As `JSON.stringify`, with `bigint` as a whole number. */
export function stringify(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `${MARK}${each}` : each), indent) ?? '';
  return text.replace(MARKED, '$1');
}
