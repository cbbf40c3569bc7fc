/** What stands at a place of a magic line: the kind of word that may be there. */
import { isFeatureCell, split } from './line';

export interface IPlace {
  /** As `GET complete` has it. */
  kind: 'option' | 'run-option' | 'command' | 'value' | 'function' | 'parameter' | 'run' | 'artifact' | 'project';
  prefix: string;
  /** Where the prefix starts in the cell. */
  start: number;
  option?: string;
  function?: string;
}

const LINE = /^(?:\s*|.*=\s*)%mlrun(?=\s)/;
const OF_RUNS = new Set(['show', 'logs', 'abort', 'why', 'replay', 'resume', 'compare']);
const VALUED = new Set(['--executor', '--kind', '--strategy', '--selector']);
const SHORT: Record<string, string> = { '-p': '--param', '-i': '--input', '-r': '--returns' };

/** What the word that ends at `offset` is, or `null` where nothing of ours is. */
export function placeOf(source: string, offset: number): IPlace | null {
  const start = source.lastIndexOf('\n', offset - 1) + 1;
  const text = source.slice(start, offset);
  const { head } = split(source);
  const number = source.slice(0, start).split('\n').length - 1;
  if (head.length && (number < head.length || (number === head.length && text.startsWith('--')))) {
    const place =
      number === 0 ? ofCell(text.replace(/^\s*%%mlrun(?=\s)/, '%%mlrun'), offset) : ofCell(`%%mlrun - ${text}`, offset);
    // its options are others
    return place?.kind === 'option' && isFeatureCell(source) ? { ...place, function: 'features' } : place;
  }
  const line = LINE.exec(text);
  return line ? ofLine(text.slice(line[0].length), offset) : null;
}

function ofCell(text: string, offset: number): IPlace | null {
  const before = text.split(/\s+/).slice(1);
  const word = before.pop();
  if (word === undefined || / #/.test(text)) {
    return null;
  }
  const at = (kind: IPlace['kind'], prefix = word, more: Partial<IPlace> = {}): IPlace => ({
    kind,
    prefix,
    start: offset - prefix.length,
    ...more
  });
  if (!before.length) {
    return word.startsWith('-') ? at('option') : at('function');
  }
  const last = before[before.length - 1];
  const option = SHORT[last] ?? last;
  if (option === '--param' || option === '--input') {
    return declaration(word, option, at);
  }
  if (option === '--returns') {
    const part = word.slice(word.lastIndexOf(',') + 1);
    return part.includes(':') ? at('value', part.slice(part.indexOf(':') + 1), { option }) : null;
  }
  if (VALUED.has(option)) {
    return at('value', word, { option });
  }
  return word.startsWith('-') || word === '' ? at('option') : null;
}

type At = (kind: IPlace['kind'], prefix?: string, more?: Partial<IPlace>) => IPlace;

function declaration(word: string, option: string, at: At): IPlace | null {
  const equals = word.indexOf('=');
  if (equals >= 0) {
    return option === '--input' ? at('artifact', word.slice(equals + 1)) : null;
  }
  const colon = word.indexOf(':');
  return colon < 0 ? null : at('value', word.slice(colon + 1), { option });
}

function ofLine(text: string, offset: number): IPlace | null {
  const before = text.split(/\s+/).slice(1);
  const word = before.pop() ?? '';
  const at: At = (kind, prefix = word, more = {}) => ({ kind, prefix, start: offset - prefix.length, ...more });
  const [command, name] = before;
  if (!command) {
    return at('command');
  }
  if (OF_RUNS.has(command)) {
    return at('run');
  }
  if (command === 'project') {
    return before.length === 1 ? at('project') : null;
  }
  if (command === 'diff' || command === 'functions' || command === 'runs') {
    return at('function');
  }
  if (command !== 'run') {
    return null;
  }
  if (!name) {
    return at('function');
  }
  const last = before[before.length - 1];
  const option = SHORT[last] ?? last;
  if (option === '--input') {
    return word.includes('=') ? at('artifact', word.slice(word.indexOf('=') + 1)) : null;
  }
  if (VALUED.has(option)) {
    return at('value', word, { option });
  }
  if (word.startsWith('-')) {
    return at('run-option');
  }
  return word.includes('=') ? null : at('parameter', word, { function: name });
}

/** The word around `offset`: the place of its end, and where it is; `null` where nothing of ours is. */
export function wordAt(source: string, offset: number): { place: IPlace; from: number; to: number } | null {
  let to = offset;
  while (to < source.length && !/[\s,=]/.test(source[to])) {
    to++;
  }
  const place = placeOf(source, to);
  return place && place.prefix && place.start <= offset ? { place, from: place.start, to } : null;
}
