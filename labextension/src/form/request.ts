/** What a form asks for: all that is in its fields, checked, as the body of a request. No DOM here. */
import { parse, stringify } from '../api/json';
import { FunctionDetail, RunDetail } from '../api/types';
import { IEntry, IField, Problem, entryOf, fieldsOf, read, same } from './fields';

/** What the folded part holds, as texts. */
export interface IOptions {
  name: string;
  executor: string;
  labels: string;
  timeout: string;
  retries: string;
  seed: string;
  cache: '' | 'yes' | 'no';
  hyperparams: string;
  strategy: string;
  selector: string;
  maxIterations: string;
  parallel: string;
}

export interface IForm {
  readonly fields: readonly IField[];
  /** What the parameters are where the form says nothing: those of the run that is repeated, or the defaults. */
  readonly start: Readonly<Record<string, unknown>>;
  readonly startInputs: Readonly<Record<string, string>>;
  readonly startOptions: IOptions;
  readonly entries: Readonly<Record<string, IEntry>>;
  readonly inputs: Readonly<Record<string, string>>;
  readonly options: IOptions;
}

export interface IRequest {
  params: Record<string, unknown>;
  inputs: Record<string, string>;
  name?: string;
  executor?: string;
  labels?: Record<string, string>;
  /** null: what the function says. */
  timeout?: number | null;
  retries?: number | null;
  seed?: number | null;
  cache?: boolean;
  hyperparams?: Record<string, unknown>;
  hyper_param_options?: Record<string, unknown>;
}

/** By field: `param:name`, `input:name`, or the name of an option. */
export type Problems = Record<string, Problem | { kind: 'json' | 'labels' | 'whole' | 'positive' }>;

const NO_OPTIONS: IOptions = {
  name: '',
  executor: '',
  labels: '',
  timeout: '',
  retries: '',
  seed: '',
  cache: '',
  hyperparams: '',
  strategy: '',
  selector: '',
  maxIterations: '',
  parallel: ''
};

/** A form for a function; with the arguments of a run when that is to be repeated. */
export function formOf(detail: FunctionDetail, run?: RunDetail): IForm {
  const fields = fieldsOf(detail);
  const start: Record<string, unknown> = {};
  const entries: Record<string, IEntry> = {};
  for (const field of fields) {
    const given = run?.parameters[field.name];
    // a run keeps all that it had; null where it had none is no value of a field that cannot be null
    start[field.name] = given === undefined || (given === null && !field.optional) ? field.initial : given;
    entries[field.name] = entryOf(field, start[field.name]);
  }
  const startInputs: Record<string, string> = {};
  for (const input of detail.inputs) {
    startInputs[input.name] = run?.inputs[input.name] ?? '';
  }
  const options = run ? optionsOf(run, detail) : NO_OPTIONS;
  return { fields, start, startInputs, startOptions: options, entries, inputs: startInputs, options };
}

// what every run is given by itself
const AUTOMATIC = new Set(['kind', 'owner', 'host', 'replay-of']);

function optionsOf(run: RunDetail, detail: FunctionDetail): IOptions {
  const labels = Object.entries(run.labels).filter(([key]) => !AUTOMATIC.has(key) && !(key in detail.labels));
  const sweep = run.hyper_param_options as Record<string, unknown>;
  const whole = (value: unknown) => (value ? String(value) : '');
  return {
    ...NO_OPTIONS,
    name: run.name,
    executor: run.is_sweep ? String(sweep.executor ?? '') : run.executor,
    labels: labels.map(([key, each]) => `${key}=${each}`).join('\n'),
    timeout: run.timeout === null ? '' : String(run.timeout),
    retries: String(run.retries),
    hyperparams: Object.keys(run.hyperparams).length ? stringify(run.hyperparams, 1) : '',
    strategy: String(sweep.strategy ?? ''),
    selector: String(sweep.selector ?? ''),
    maxIterations: whole(sweep.max_iterations),
    parallel: whole(sweep.parallel_runs)
  };
}

/** All values of the fields that have one. */
export function valuesOf(form: IForm): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const field of form.fields) {
    const { value } = read(field, form.entries[field.name]);
    if (value !== undefined) {
      found[field.name] = value;
    }
  }
  return found;
}

/** What is to be sent: only what differs from the start, so that all else stays exactly what it was. */
export function requestOf(form: IForm, detail: FunctionDetail): { request?: IRequest; problems: Problems } {
  const problems: Problems = {};
  const request: IRequest = { params: {}, inputs: {} };
  const { options, startOptions } = form;
  const changed = (name: keyof IOptions) => options[name].trim() !== startOptions[name].trim();
  let varied: Record<string, unknown> = {};
  if (options.hyperparams.trim()) {
    const found = readObject(options.hyperparams);
    if (found) {
      varied = found;
      if (
        changed('hyperparams') ||
        changed('strategy') ||
        changed('selector') ||
        changed('maxIterations') ||
        changed('parallel')
      ) {
        request.hyperparams = found;
        request.hyper_param_options = sweepOptions(options, problems);
      }
    } else {
      problems.hyperparams = { kind: 'json' };
    }
  } else if (startOptions.hyperparams) {
    request.hyperparams = {};
  }
  for (const field of form.fields) {
    const { value, problem } = read(field, form.entries[field.name]);
    if (field.name in varied) {
      continue;
    }
    if (problem) {
      problems[`param:${field.name}`] = problem;
    } else if (value !== undefined && !same(value, form.start[field.name])) {
      request.params[field.name] = value;
    }
  }
  for (const input of detail.inputs) {
    const text = form.inputs[input.name].trim();
    if (!text && input.required && !input.default) {
      problems[`input:${input.name}`] = { kind: 'missing' };
    } else if (text !== form.startInputs[input.name]) {
      request.inputs[input.name] = text || input.default;
    }
  }
  readOptions(form, request, problems, changed);
  return Object.keys(problems).length ? { problems } : { request, problems };
}

function readOptions(
  form: IForm,
  request: IRequest,
  problems: Problems,
  changed: (name: keyof IOptions) => boolean
): void {
  const { options } = form;
  if (changed('name')) {
    request.name = options.name.trim();
  }
  if (changed('executor')) {
    request.executor = options.executor;
  }
  if (changed('labels')) {
    const labels = readLabels(options.labels);
    if (labels) {
      request.labels = labels;
    } else {
      problems.labels = { kind: 'labels' };
    }
  }
  if (changed('timeout')) {
    const seconds = Number(options.timeout);
    if (!options.timeout.trim()) {
      request.timeout = null;
    } else if (seconds > 0 && Number.isFinite(seconds)) {
      request.timeout = seconds;
    } else {
      problems.timeout = { kind: 'positive' };
    }
  }
  for (const name of ['retries', 'seed'] as const) {
    if (changed(name)) {
      if (!options[name].trim()) {
        request[name] = null;
      } else if (/^\d{1,15}$/.test(options[name].trim())) {
        request[name] = Number(options[name]);
      } else {
        problems[name] = { kind: 'whole' };
      }
    }
  }
  if (options.cache) {
    request.cache = options.cache === 'yes';
  }
}

function sweepOptions(options: IOptions, problems: Problems): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  if (options.strategy) {
    found.strategy = options.strategy;
  }
  if (options.selector.trim()) {
    found.selector = options.selector.trim();
  }
  for (const [name, key] of [
    ['maxIterations', 'max_iterations'],
    ['parallel', 'parallel_runs']
  ] as const) {
    const text = options[name].trim();
    if (text && !/^\d{1,9}$/.test(text)) {
      problems[name] = { kind: 'whole' };
    } else if (text) {
      found[key] = Number(text);
    }
  }
  return found;
}

function readObject(text: string): Record<string, unknown> | null {
  try {
    const found = parse(text);
    return found && typeof found === 'object' && !Array.isArray(found) ? (found as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** `key=value`, one a line. */
export function readLabels(text: string): Record<string, string> | null {
  const found: Record<string, string> = {};
  for (const line of text.split('\n')) {
    if (!line.trim()) {
      continue;
    }
    const at = line.indexOf('=');
    if (at < 1) {
      return null;
    }
    found[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return found;
}
