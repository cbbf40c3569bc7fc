/** `%%mlrun` lines: read, changed, written. Text only; words are those of a shell, as the magic reads them. */

export interface IDeclared {
  name: string;
  type: string;
  /** `undefined`: none, which is not the empty text. */
  default?: string;
  doc: string;
}

export interface IHead {
  name: string;
  parameters: IDeclared[];
  inputs: IDeclared[];
  outputs: { name: string; type: string }[];
  /** All other options, as they stand. */
  others: string[];
}

const START = /^\s*%%mlrun(?=\s|$)/;

/** Whether the cell is one of `%%mlrun`. */
export function isFunctionCell(source: string): boolean {
  return START.test(source.slice(0, 200));
}

/** Whether the cell is one of `%%mlrun features NAME`, whose rows go into a feature set. */
export function isFeatureCell(source: string): boolean {
  return /^\s*%%mlrun\s+features\s+[^-\s]/.test(source.slice(0, 200));
}

/** The first line and those below it that go on with options, and the rest. */
export function split(source: string): { head: string[]; body: string } {
  const lines = source.split('\n');
  if (!isFunctionCell(source)) {
    return { head: [], body: source };
  }
  let count = 1;
  while (count < lines.length && (lines[count].startsWith('--') || !lines[count].trim())) {
    count++;
  }
  // blank lines between the options and the code belong to the code
  while (count > 1 && !lines[count - 1].trim()) {
    count--;
  }
  return { head: lines.slice(0, count), body: lines.slice(count).join('\n') };
}

/** How many lines of the cell are its head. */
export function headLines(source: string): number {
  return split(source).head.length;
}

/**
 * Words as a shell has them, and the comment behind them.
 * @throws Error for a quote that is not closed.
 */
export function words(line: string): { words: string[]; comment: string } {
  const found: string[] = [];
  let word: string | null = null;
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const sign = line[at];
    if (quote) {
      if (sign === quote) {
        quote = '';
      } else if (sign === '\\' && quote === '"' && '"\\'.includes(line[at + 1] ?? ' ')) {
        word += line[++at];
      } else {
        word += sign;
      }
    } else if (sign === "'" || sign === '"') {
      quote = sign;
      word = word ?? '';
    } else if (sign === '\\' && at + 1 < line.length) {
      word = (word ?? '') + line[++at];
    } else if (/\s/.test(sign)) {
      if (word !== null) {
        found.push(word);
      }
      word = null;
    } else if (sign === '#' && word === null) {
      return { words: found, comment: line.slice(at + 1).trim() };
    } else {
      word = (word ?? '') + sign;
    }
  }
  if (quote) {
    throw new Error(`A quote (${quote}) is not closed.`);
  }
  if (word !== null) {
    found.push(word);
  }
  return { words: found, comment: '' };
}

/** A word as it is to be written so that it is read as this. */
export function quoted(word: string): string {
  return word && /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replace(/'/g, `'"'"'`)}'`;
}

function declared(text: string, doc = ''): IDeclared {
  const at = text.indexOf('=');
  const left = at < 0 ? text : text.slice(0, at);
  const colon = left.indexOf(':');
  return {
    name: (colon < 0 ? left : left.slice(0, colon)).trim(),
    type: colon < 0 ? '' : left.slice(colon + 1).trim(),
    default: at < 0 ? undefined : text.slice(at + 1),
    doc
  };
}

const FLAGS = new Set(['--background', '-b', '--cache', '--no-run']);

/**
 * What the head of a cell says.
 * @throws Error for a quote that is not closed.
 */
export function read(head: readonly string[]): IHead {
  const found: IHead = { name: '', parameters: [], inputs: [], outputs: [], others: [] };
  head.forEach((text, number) => {
    const line = words(number ? text : text.replace(START, ''));
    for (let at = 0; at < line.words.length; at++) {
      let option = line.words[at];
      let value: string | undefined;
      const equals = /^(--[\w-]+)=([^]*)$/.exec(option);
      if (equals) {
        [, option, value] = equals;
      } else if (option.startsWith('-') && !FLAGS.has(option)) {
        value = line.words[++at];
      }
      if (!option.startsWith('-')) {
        if (found.name) {
          found.others.push(option);
        } else {
          found.name = option;
        }
      } else if ((option === '--param' || option === '-p') && value !== undefined) {
        found.parameters.push(declared(value, line.comment));
      } else if ((option === '--input' || option === '-i') && value !== undefined) {
        found.inputs.push(declared(value, line.comment));
      } else if ((option === '--returns' || option === '-r') && value !== undefined) {
        const parts = value.split(',').filter(part => part.trim());
        found.outputs = parts.map(part => {
          const [name, type = ''] = part.split(':');
          return { name: name.trim(), type: type.trim() };
        });
      } else {
        found.others.push(option, ...(value === undefined ? [] : [value]));
      }
    }
  });
  return found;
}

function declaration(of: IDeclared): string {
  return of.name + (of.type ? `:${of.type}` : '') + (of.default === undefined ? '' : `=${of.default}`);
}

const WIDTH = 100;

/** The head: one line while it is short, else a line an option. */
export function write(head: IHead): string {
  const options: [string, string][] = [
    ...head.parameters.map(each => [`--param ${quoted(declaration(each))}`, each.doc] as [string, string]),
    ...head.inputs.map(each => [`--input ${quoted(declaration(each))}`, each.doc] as [string, string])
  ];
  if (head.outputs.length) {
    const outputs = head.outputs.map(each => (each.type ? `${each.name}:${each.type}` : each.name));
    options.push([`--returns ${quoted(outputs.join(','))}`, '']);
  }
  // what we know nothing of goes on as it stood, an option with its value
  const others: string[] = [];
  for (const word of head.others) {
    const value = others.length && !word.startsWith('--') && !FLAGS.has(word);
    if (value) {
      others[others.length - 1] += ` ${quoted(word)}`;
    } else {
      others.push(quoted(word));
    }
  }
  const first = `%%mlrun ${head.name}`.trimEnd();
  const line = [first, ...options.map(([text]) => text), ...others].join(' ');
  if (line.length <= WIDTH && options.every(([, doc]) => !doc)) {
    return line;
  }
  const below = options.map(([text, doc]) => (doc ? `${text}  # ${doc.replace(/\s+/g, ' ')}` : text));
  const long = others.filter(each => each.startsWith('--'));
  const short = others.filter(each => !each.startsWith('--'));
  return [[first, ...short].join(' '), ...below, ...long].join('\n');
}

/** The cell with another head. */
export function replaceHead(source: string, head: string): string {
  const body = isFunctionCell(source) ? split(source).body : source.replace(/^\n+/, '');
  return `${head}\n${body}`;
}

/** A name as functions have them: a-z, 0-9 and `-`. */
export function asName(text: string): string {
  const plain = text
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-');
  const cut = plain.replace(/^-+|-+$/g, '');
  return cut.length <= 40 ? cut : cut.slice(0, 40).replace(/-[^-]*$/, '');
}

/** Whether it can be the name of a function. */
export function isName(text: string): boolean {
  return text.length <= 63 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text);
}

/** A good name for what a cell does: of its first comment, its only function, the heading above it; else nothing. */
export function suggestName(source: string, heading: string): string {
  const comment = /^\s*#+\s*(?:%%\s*)?(.+)/.exec(source)?.[1] ?? '';
  const defs = [...source.matchAll(/^(?:async\s+)?def\s+(\w+)/gm)].map(each => each[1]);
  const few = (text: string) => asName(text.split(/[.:;(]/)[0]);
  return few(comment) || (defs.length === 1 ? asName(defs[0]) : '') || few(heading);
}

/** The project that a cell chooses, by the magic or by a call. */
export function projectIn(source: string): string {
  const found = [
    ...source.matchAll(
      /^\s*(?:\w+\s*=\s*)?%mlrun\s+project\s+["']?([\w-]+)|(?:get_or_create_project|new_project|load_project)\(\s*(?:name\s*=\s*)?["']([\w-]+)["']/gm
    )
  ];
  const last = found[found.length - 1];
  return last ? (last[1] ?? last[2]).toLowerCase().replace(/_/g, '-') : '';
}
