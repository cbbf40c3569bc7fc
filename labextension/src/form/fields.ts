/** The fields of a run form: what a parameter takes, and how its value is written as text and read back. No DOM here. */
import { parse, stringify } from '../api/json';
import { FunctionDetail, Parameter } from '../api/types';

export type Kind = 'integer' | 'number' | 'boolean' | 'text' | 'choice' | 'json' | 'any';

/** What a field says of a text that it cannot take; texts of the interface are made of it by {@link Problem}. */
export type Problem =
  | { kind: 'missing' }
  | { kind: 'type'; wanted: Kind | 'list' | 'object' | 'datetime' }
  | { kind: 'range'; low?: number; high?: number; open?: boolean }
  | { kind: 'int64' }
  | { kind: 'multiple'; of: number }
  | { kind: 'length'; low?: number; high?: number }
  | { kind: 'pattern'; pattern: string };

type Schema = Record<string, any>;

export interface IField {
  readonly name: string;
  readonly kind: Kind;
  /** As the function declares it, for people: `int`, `list`, the name of a class. */
  readonly type: string;
  readonly doc: string;
  readonly required: boolean;
  readonly optional: boolean;
  readonly initial: unknown;
  readonly choices: readonly unknown[];
  readonly schema: Schema;
}

/** What stands in a field. `none`: null was chosen; `touched`: there is, or was, a value of its own. */
export interface IEntry {
  readonly text: string;
  readonly none: boolean;
  readonly touched: boolean;
}

const NUMBERS: Record<string, string> = {
  nan: 'NaN',
  inf: 'Infinity',
  '+inf': 'Infinity',
  '-inf': '-Infinity',
  infinity: 'Infinity',
  '+infinity': 'Infinity',
  '-infinity': '-Infinity'
};

/** The fields of a function's parameters, in its order. */
export function fieldsOf(detail: Pick<FunctionDetail, 'parameters' | 'schema'>): IField[] {
  const root = (detail.schema ?? {}) as Schema;
  return detail.parameters.map(each => fieldOf(each as Parameter, root));
}

function fieldOf(parameter: Parameter, root: Schema): IField {
  const own: Schema = root.properties?.[parameter.name] ?? parameter.schema ?? {};
  const { schema, nullable } = settle(own, { ...root.$defs, ...(parameter.schema as Schema)?.$defs });
  const optional = parameter.optional || nullable || (!parameter.required && parameter.default === null);
  const types: string[] = [schema.type ?? []].flat();
  let kind: Kind = 'json';
  if (schema.enum || 'const' in schema) {
    kind = 'choice';
  } else if (types.length === 1 && ['integer', 'number', 'boolean'].includes(types[0])) {
    kind = types[0] as Kind;
  } else if (types.length === 1 && types[0] === 'string') {
    kind = 'text';
  } else if (!types.length && !Object.keys(schema).some(key => !['default', 'description', 'title'].includes(key))) {
    kind = 'any';
  }
  return {
    name: parameter.name,
    kind,
    type: parameter.type,
    doc: parameter.doc || schema.description || '',
    required: parameter.required,
    optional,
    initial: parameter.required ? undefined : parameter.default,
    choices: schema.enum ?? ('const' in schema ? [schema.const] : []),
    schema
  };
}

/** Follows references and takes null out of unions. */
function settle(schema: Schema, definitions: Schema, depth = 0): { schema: Schema; nullable: boolean } {
  if (depth > 20) {
    return { schema: {}, nullable: false };
  }
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.split('/').pop()!;
    const { $ref: _, ...rest } = schema;
    return settle({ ...definitions[name], ...rest }, definitions, depth + 1);
  }
  const union: Schema[] | undefined = schema.anyOf ?? schema.oneOf;
  if (union) {
    const others = union.filter(each => each.type !== 'null');
    if (others.length === 1) {
      const { anyOf: _a, oneOf: _o, ...rest } = schema;
      const found = settle({ ...rest, ...others[0] }, definitions, depth + 1);
      return { schema: found.schema, nullable: found.nullable || others.length < union.length };
    }
    return { schema, nullable: others.length < union.length };
  }
  let nullable = false;
  if (Array.isArray(schema.type) && schema.type.includes('null')) {
    nullable = true;
    const others = schema.type.filter((each: string) => each !== 'null');
    schema = { ...schema, type: others.length === 1 ? others[0] : others };
  }
  if (schema.enum?.includes(null)) {
    nullable = true;
    schema = { ...schema, enum: schema.enum.filter((each: unknown) => each !== null) };
  }
  return { schema, nullable };
}

/** The entry that shows a value; `undefined` is no value. */
export function entryOf(field: IField, value: unknown): IEntry {
  if (value === undefined || value === null) {
    return { text: '', none: value === null, touched: false };
  }
  return { text: textOf(field, value), none: false, touched: true };
}

function textOf(field: IField, value: unknown): string {
  if (typeof value === 'string' && value.startsWith('secret://')) {
    return value;
  }
  switch (field.kind) {
    case 'choice':
      return stringify(value);
    case 'any':
      return typeof value === 'string' && !readable(value) ? value : written(value);
    case 'json':
      return written(value);
    case 'number':
      // a float without a fraction is shown as one
      return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 1e15
        ? value.toFixed(1)
        : `${value}`;
    default:
      return typeof value === 'string' ? value : stringify(value);
  }
}

/** On one line where it is short. */
function written(value: unknown): string {
  const line = stringify(value);
  return line.length <= 60 ? line : stringify(value, 1);
}

/** Whether the text would be read as JSON, so that it needs quotes to be taken as text. */
function readable(text: string): boolean {
  try {
    parse(text.trim());
    return true;
  } catch {
    return text !== text.trim() || text === '' || text.trim().toLowerCase() in NUMBERS;
  }
}

/** Reads an entry: its value, or what is wrong. `{}` is no value: the default is to be taken. */
export function read(field: IField, entry: IEntry): { value?: unknown; problem?: Problem } {
  if (entry.none && field.optional) {
    return { value: null };
  }
  const text = entry.text.trim();
  if (text === '' && !(field.kind === 'text' && (entry.touched || field.initial === ''))) {
    if (field.optional) {
      return { value: null };
    }
    return field.required || entry.touched ? { problem: { kind: 'missing' } } : {};
  }
  if (text.startsWith('secret://')) {
    return { value: text };
  }
  const { value, problem } = readAs(field, field.kind === 'text' ? entry.text : text);
  return problem ? { problem } : judge(field, value);
}

function readAs(field: IField, text: string): { value?: unknown; problem?: Problem } {
  const wrong = (wanted: Kind | 'list' | 'object' | 'datetime') => ({ problem: { kind: 'type', wanted } as Problem });
  switch (field.kind) {
    case 'text':
      return { value: text };
    case 'boolean':
      return text === 'true' || text === 'false' ? { value: text === 'true' } : wrong('boolean');
    case 'integer': {
      if (!/^[+-]?\d+(?:_\d+)*$/.test(text)) {
        return wrong('integer');
      }
      const whole = BigInt(text.replace(/[_+]/g, ''));
      if (whole < -(2n ** 63n) || whole >= 2n ** 63n) {
        return { problem: { kind: 'int64' } };
      }
      return { value: Number.isSafeInteger(Number(whole)) ? Number(whole) : whole };
    }
    case 'number': {
      const special = NUMBERS[text.toLowerCase()];
      if (special) {
        return { value: special };
      }
      if (!/^[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) {
        return wrong('number');
      }
      const plain = text.replace(/_/g, '');
      const value = Number(plain);
      return Number.isInteger(value) && !Number.isSafeInteger(value) && /^[+-]?\d+$/.test(plain)
        ? { value: BigInt(plain.replace('+', '')) }
        : { value };
    }
    case 'any':
      try {
        return { value: parse(text) };
      } catch {
        return { value: NUMBERS[text.toLowerCase()] ?? text };
      }
    default:
      try {
        return { value: parse(text) };
      } catch {
        return wrong(field.kind);
      }
  }
}

function judge(field: IField, value: unknown): { value?: unknown; problem?: Problem } {
  const { schema } = field;
  const refuse = (problem: Problem) => ({ problem });
  if (typeof value === 'number' || typeof value === 'bigint') {
    const low = schema.minimum ?? schema.exclusiveMinimum;
    const high = schema.maximum ?? schema.exclusiveMaximum;
    const under = value < schema.minimum || value <= schema.exclusiveMinimum;
    const over = value > schema.maximum || value >= schema.exclusiveMaximum;
    if (under || over) {
      const open = under ? schema.minimum === undefined : schema.maximum === undefined;
      return refuse({ kind: 'range', low, high, open });
    }
    if (schema.multipleOf && Number(value) % schema.multipleOf !== 0) {
      return refuse({ kind: 'multiple', of: schema.multipleOf });
    }
  }
  if (typeof value === 'string' && field.kind === 'text') {
    if (value.length < schema.minLength || value.length > schema.maxLength) {
      return refuse({ kind: 'length', low: schema.minLength, high: schema.maxLength });
    }
    if (schema.pattern && !matches(schema.pattern, value)) {
      return refuse({ kind: 'pattern', pattern: schema.pattern });
    }
    if (schema.format === 'date-time' && !/^\d{4}-?\d\d-?\d\d([T ].*)?$/.test(value)) {
      return refuse({ kind: 'type', wanted: 'datetime' });
    }
  }
  if (field.kind === 'json') {
    const types: string[] = [schema.type ?? []].flat();
    if (types.length === 1 && types[0] === 'array' && !Array.isArray(value)) {
      return refuse({ kind: 'type', wanted: 'list' });
    }
    if (
      types.length === 1 &&
      types[0] === 'object' &&
      (value === null || typeof value !== 'object' || Array.isArray(value))
    ) {
      return refuse({ kind: 'type', wanted: 'object' });
    }
  }
  return { value };
}

function matches(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    // a pattern of Python's that this grammar does not know: the server checks it
    return true;
  }
}

/** Whether two values are the same data. */
export function same(one: unknown, other: unknown): boolean {
  return one === other || stringify(canonical(one)) === stringify(canonical(other));
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(canonical);
  }
  if (value && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, each]) => [key, canonical(each)])
    );
  }
  return value;
}
