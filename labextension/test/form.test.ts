import { expect, test } from 'vitest';
import { parse, stringify } from '../src/api/json';
import { FunctionDetail, Parameter, RunDetail } from '../src/api/types';
import { entryOf, fieldsOf, read } from '../src/form/fields';
import { IForm, formOf, readLabels, requestOf, valuesOf } from '../src/form/request';

type Declared = Partial<Parameter> & { name: string };

const SCHEMAS: Record<string, object> = {
  int: { type: 'integer' },
  float: { type: 'number' },
  bool: { type: 'boolean' },
  str: { type: 'string' },
  list: { type: 'array' },
  dict: { type: 'object' }
};

function detail(...parameters: Declared[]): FunctionDetail {
  const all = parameters.map(each => ({
    type: '',
    default: null,
    required: false,
    optional: false,
    doc: '',
    schema: {},
    ...each
  }));
  const properties: Record<string, any> = {};
  for (const each of all) {
    const shape: any = { ...(Object.keys(each.schema).length ? each.schema : SCHEMAS[each.type]) };
    if (each.optional && shape.type) {
      shape.type = [shape.type, 'null'];
    }
    properties[each.name] = each.required ? shape : { ...shape, default: each.default };
  }
  const schema = { type: 'object', properties };
  return {
    name: 'f',
    project: 'p',
    hash: 'h',
    uri: 'p/f@h',
    parameters: all,
    inputs: [],
    schema,
    labels: {}
  } as unknown as FunctionDetail;
}

function run(parameters: Record<string, unknown>, more: Partial<RunDetail> = {}): RunDetail {
  const none = {
    labels: {},
    inputs: {},
    timeout: null,
    retries: 0,
    hyperparams: {},
    hyper_param_options: {},
    executor: 'process',
    name: 'f'
  };
  return { ...none, parameters, is_sweep: false, ...more } as unknown as RunDetail;
}

function type(form: IForm, name: string, text: string, none = false): IForm {
  return { ...form, entries: { ...form.entries, [name]: { text, none, touched: true } } };
}

test('values that are given come back from the form as they were', () => {
  const cases: [string, unknown[]][] = [
    ['int', [0, -7, 2 ** 53 - 1, 9007199254740993n, -(2n ** 63n)]],
    ['float', [0, 0.1, -1e-300, 1e300, 3, 'NaN', 'Infinity', '-Infinity']],
    ['bool', [true, false]],
    ['str', ['', ' a ', '12', 'null', 'true', 'ä 漢 🎈', '"quoted"', 'two\nlines', 'NaN', 'secret://token']],
    ['list', [[], [1, '2', null, [9007199254740993n]]]],
    ['dict', [{}, { a: { b: [1.5, 'x'] }, ü: null }]],
    [
      '',
      [1, '1', 'text', ' text ', '', 'null', '"a"', 'nan', 'NaN', true, 'true', [1], { a: 1 }, 2n ** 70n, 'secret://x']
    ]
  ];
  for (const [kind, values] of cases) {
    for (const value of values) {
      const form = formOf(detail({ name: 'x', type: kind, required: true }), run({ x: value }));
      expect(valuesOf(form), `${kind}: ${String(value)}`).toEqual({ x: value });
    }
  }
});

test('null comes back as null wherever it is allowed', () => {
  for (const kind of ['int', 'float', 'bool', 'str', 'list', '']) {
    const form = formOf(detail({ name: 'x', type: kind, optional: true, required: true }), run({ x: null }));
    expect(valuesOf(form)).toEqual({ x: null });
  }
});

test('long whole numbers are read and written as they are', () => {
  const text =
    '{"a":9007199254740993,"b":"9007199254740993","c":0.12345678901234567890,"d":[-18446744073709551616],"e":12}';
  const found: any = parse(text);
  expect([found.a, found.b, found.d[0], found.e]).toEqual([9007199254740993n, '9007199254740993', -(2n ** 64n), 12]);
  expect(stringify({ a: found.a, b: found.b })).toBe('{"a":9007199254740993,"b":"9007199254740993"}');
});

test('only what was changed is sent', () => {
  const of = detail(
    { name: 'n', type: 'int', default: 3 },
    { name: 'rate', type: 'float', default: 0.1 },
    { name: 's', type: 'str', default: 'a' }
  );
  expect(requestOf(formOf(of), of).request).toEqual({ params: {}, inputs: {} });
  expect(requestOf(type(formOf(of), 'rate', '1e-3'), of).request?.params).toEqual({ rate: 0.001 });
  expect(requestOf(type(formOf(of), 's', ''), of).request?.params).toEqual({ s: '' });
  const again = formOf(of, run({ n: 8, rate: 0.5, s: 'b' }));
  expect(requestOf(again, of).request).toEqual({ params: {}, inputs: {} });
  expect(requestOf(type(again, 'n', '3'), of).request?.params).toEqual({ n: 3 });
});

test('a text that the type does not take is told at its field', () => {
  const field = (kind: string, schema: object = {}) =>
    fieldsOf(detail({ name: 'x', type: kind, required: true, schema: schema as any }))[0];
  const problem = (kind: string, text: string, schema?: object) =>
    read(field(kind, schema), { text, none: false, touched: true }).problem?.kind;
  expect(problem('int', '1.5')).toBe('type');
  expect(problem('int', '9223372036854775808')).toBe('int64');
  expect(problem('float', '1,5')).toBe('type');
  expect(problem('float', '')).toBe('missing');
  expect(problem('list', '{"a": 1}')).toBe('type');
  expect(problem('dict', '[')).toBe('type');
  expect(problem('int', '11', { type: 'integer', minimum: 1, maximum: 10 })).toBe('range');
  expect(problem('float', '0', { type: 'number', exclusiveMinimum: 0 })).toBe('range');
  expect(problem('str', 'abc', { type: 'string', pattern: '^x' })).toBe('pattern');
  expect(problem('int', '1_000')).toBeUndefined();
});

test('an enum behind a reference is a choice, and a union with null can be none', () => {
  const schema = { $ref: '#/$defs/Colour', $defs: { Colour: { enum: ['red', 'blue'] } } };
  const [colour, size] = fieldsOf(
    detail(
      { name: 'c', type: 'Colour', required: true, schema: schema as any },
      { name: 'm', type: 'M', schema: { anyOf: [{ type: 'integer' }, { type: 'null' }] } as any }
    )
  );
  expect([colour.kind, colour.choices, colour.optional]).toEqual(['choice', ['red', 'blue'], false]);
  expect([size.kind, size.optional]).toEqual(['integer', true]);
  expect(read(colour, entryOf(colour, 'blue')).value).toBe('blue');
});

test('what a sweep varies need not be given, and a timeout that is cleared is sent as null', () => {
  const of = detail({ name: 'n', type: 'int', required: true });
  const form = formOf(of);
  expect(requestOf(form, of).problems).toEqual({ 'param:n': { kind: 'missing' } });
  const swept = {
    ...form,
    options: { ...form.options, hyperparams: '{"n": [1, 2]}', strategy: 'grid', parallel: '2' }
  };
  expect(requestOf(swept, of).request).toEqual({
    params: {},
    inputs: {},
    hyperparams: { n: [1, 2] },
    hyper_param_options: { strategy: 'grid', parallel_runs: 2 }
  });
  const timed = formOf(of, run({ n: 1 }, { timeout: 60 }));
  expect(requestOf({ ...timed, options: { ...timed.options, timeout: '' } }, of).request?.timeout).toBeNull();
  expect(requestOf({ ...form, options: { ...form.options, labels: 'x' } }, of).problems.labels).toEqual({
    kind: 'labels'
  });
  expect(readLabels('a=1\n b = c=d \n')).toEqual({ a: '1', b: 'c=d' });
});
