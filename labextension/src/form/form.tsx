/** A form for a run, made from what a function takes. */
import { FormEvent, ReactNode, useEffect, useId, useRef, useState } from 'react';
import { ApiError, IClient } from '../api/client';
import { FunctionDetail, RunDetail, Status } from '../api/types';
import { asApiError } from '../model';
import { ErrorBox, useTrans } from '../parts';
import { EntryField, InputField, Labelled } from './controls';
import { IEntry, IField, read } from './fields';
import { IForm, IOptions, IRequest, Problems, formOf, requestOf } from './request';
import { sayProblem } from './texts';

export interface IRunForm {
  client: IClient;
  detail: FunctionDetail;
  /** The run that is repeated: its arguments are what the fields begin with, and only what is changed is sent. */
  run?: RunDetail;
  /** Of the button. */
  label: string;
  /** Sends what was asked for. What it throws is shown at the form. */
  send(request: IRequest): Promise<void>;
  cancel?(): void;
}

/** Starts a version of a function with what a form asks for. */
export function startRun(client: IClient, detail: FunctionDetail, request: IRequest): Promise<RunDetail> {
  const body = { ...request, function: `${detail.name}@${detail.hash}` };
  return client.send<RunDetail>('POST', `projects/${encodeURIComponent(detail.project)}/runs`, body);
}

/** Runs a run's version again, changed as a form asks for. */
export function startAgain(client: IClient, run: RunDetail, request: IRequest): Promise<RunDetail> {
  return client.send<RunDetail>('POST', `runs/${run.uid}/rerun`, request);
}

export function RunForm({ client, detail, run, label, send, cancel }: IRunForm) {
  const trans = useTrans();
  const [form, setForm] = useState<IForm>(() => formOf(detail, run));
  const [shown, setShown] = useState<Problems>({});
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const [executors, setExecutors] = useState<readonly string[]>([]);
  const node = useRef<HTMLFormElement>(null);
  useEffect(() => {
    setForm(formOf(detail, run));
    setShown({});
    setError(null);
  }, [detail.uri, run?.uid]);
  useEffect(() => {
    let gone = false;
    // without the list one can still leave the choice to the function
    client.get<Status>('status').then(
      found => !gone && setExecutors(found.executors),
      failure => !gone && setError(asApiError(failure))
    );
    return () => {
      gone = true;
    };
  }, [client]);

  const focusFirst = (problems: Problems) => {
    const first = node.current?.querySelector<HTMLElement>(
      Object.keys(problems)
        .map(each => `[data-field="${CSS.escape(each)}"]`)
        .join(',') || '[data-field=""]'
    );
    const folded = first?.closest('details');
    if (folded) {
      folded.open = true;
    }
    first?.focus();
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const { request, problems } = requestOf(form, detail);
    setShown(problems);
    setError(null);
    if (!request) {
      focusFirst(problems);
      return;
    }
    setBusy(true);
    try {
      await send(request);
    } catch (failure) {
      setError(asApiError(failure));
    } finally {
      setBusy(false);
    }
  };
  const setEntry = (field: IField, entry: IEntry) => {
    setForm(before => ({ ...before, entries: { ...before.entries, [field.name]: entry } }));
    // a field that was found wrong is judged again as one types; a right one only when it is left
    if (shown[`param:${field.name}`]) {
      judge(field, entry);
    }
  };
  const judge = (field: IField, entry: IEntry) => {
    const { problem } = read(field, entry);
    setShown(({ [`param:${field.name}`]: _, ...others }) =>
      problem ? { ...others, [`param:${field.name}`]: problem } : others
    );
  };
  const setOption = (name: keyof IOptions, text: string) =>
    setForm(before => ({ ...before, options: { ...before.options, [name]: text } }));
  const say = (name: string) => (shown[name] ? sayProblem(trans, shown[name]) : '');
  const refused = /parameter '([^']+)'/.exec(error?.what ?? '')?.[1];

  return (
    <form className="mlrun-Form" ref={node} onSubmit={submit} noValidate aria-label={trans.__('Run %1', detail.name)}>
      {form.fields.map(field => (
        <EntryField
          key={field.name}
          field={field}
          entry={form.entries[field.name]}
          problem={say(`param:${field.name}`) || (refused === field.name ? error!.why : '')}
          changed={run ? trans.__('changed') : ''}
          start={form.start[field.name]}
          set={entry => setEntry(field, entry)}
          left={entry => judge(field, entry)}
        />
      ))}
      {detail.inputs.map(input => (
        <InputField
          key={input.name}
          client={client}
          project={detail.project}
          input={input}
          text={form.inputs[input.name]}
          problem={say(`input:${input.name}`)}
          set={text => setForm(before => ({ ...before, inputs: { ...before.inputs, [input.name]: text } }))}
        />
      ))}
      {!form.fields.length && !detail.inputs.length && (
        <p className="mlrun-Dim">{trans.__('It takes no parameters.')}</p>
      )}
      <Options form={form} executors={executors} say={say} set={setOption} sweep={!!run?.is_sweep} />
      {error && <ErrorBox error={error} />}
      {Object.keys(shown).length > 0 && (
        <p className="mlrun-Form-problem" role="status">
          {trans._n('%1 field needs another value.', '%1 fields need another value.', Object.keys(shown).length)}
        </p>
      )}
      <div className="mlrun-Form-buttons">
        <button type="submit" className="jp-Button jp-mod-styled jp-mod-accept" disabled={busy}>
          {busy ? trans.__('Starting…') : label}
        </button>
        {cancel && (
          <button type="button" className="jp-Button jp-mod-styled jp-mod-reject" onClick={cancel}>
            {trans.__('Cancel')}
          </button>
        )}
      </div>
    </form>
  );
}

interface IOptionsPart {
  form: IForm;
  executors: readonly string[];
  sweep: boolean;
  say(name: string): string;
  set(name: keyof IOptions, text: string): void;
}

function Options({ form, executors, sweep, say, set }: IOptionsPart) {
  const trans = useTrans();
  const { options } = form;
  const id = useId();
  const text = (
    name: keyof IOptions,
    label: string,
    doc: string,
    more: { placeholder?: string; lines?: number } = {}
  ) => (
    <Labelled id={`${id}-${name}`} label={label} doc={doc} problem={say(name)}>
      {described =>
        more.lines ? (
          <textarea
            {...described}
            data-field={name}
            rows={more.lines}
            value={options[name]}
            placeholder={more.placeholder}
            spellCheck={false}
            onChange={event => set(name, event.target.value)}
          />
        ) : (
          <input
            {...described}
            data-field={name}
            value={options[name]}
            placeholder={more.placeholder}
            spellCheck={false}
            onChange={event => set(name, event.target.value)}
          />
        )
      }
    </Labelled>
  );
  const choice = (name: keyof IOptions, label: string, doc: string, choices: [string, string][]) => (
    <Labelled id={`${id}-${name}`} label={label} doc={doc} problem={say(name)}>
      {described => (
        <div className="jp-select-wrapper">
          <select
            {...described}
            data-field={name}
            className="jp-mod-styled"
            value={options[name]}
            onChange={event => set(name, event.target.value)}
          >
            {choices.map(([value, shown]) => (
              <option key={value} value={value}>
                {shown}
              </option>
            ))}
          </select>
        </div>
      )}
    </Labelled>
  );
  const all = [...new Set([...executors, options.executor].filter(Boolean))];
  return (
    <>
      {choice('executor', trans.__('Executor'), '', [
        ['', trans.__('as the function says')],
        ...all.map(each => [each, each] as [string, string])
      ])}
      <Fold title={trans.__('More options')}>
        {text('name', trans.__('Name'), '', { placeholder: trans.__('that of the function') })}
        {text('labels', trans.__('Labels'), trans.__('One a line, as key=value.'), { lines: 2 })}
        {text('timeout', trans.__('Timeout'), trans.__('Seconds.'), { placeholder: trans.__('as the function says') })}
        {text('retries', trans.__('Retries'), trans.__('How often it is tried again after a failure.'), {
          placeholder: trans.__('as the function says')
        })}
        {text('seed', trans.__('Seed'), trans.__('Random numbers begin with it.'), { placeholder: trans.__('none') })}
        {choice('cache', trans.__('Cache'), trans.__('Whether the outputs of an equal earlier run may be taken.'), [
          ['', trans.__('as the function says')],
          ['yes', trans.__('yes')],
          ['no', trans.__('no')]
        ])}
      </Fold>
      <Fold title={trans.__('Sweep over parameters')} open={sweep}>
        {text(
          'hyperparams',
          trans.__('Values'),
          trans.__('JSON: a list of values for each parameter, or a range such as "0.001..0.1:log".'),
          {
            lines: 3,
            placeholder: '{"rate": [0.1, 0.01]}'
          }
        )}
        {choice('strategy', trans.__('Strategy'), '', [
          ['', trans.__('grid, or random for ranges')],
          ...['grid', 'list', 'random', 'optuna', 'custom'].map(each => [each, each] as [string, string])
        ])}
        {text('selector', trans.__('Best by'), '', { placeholder: 'max.accuracy' })}
        {text('maxIterations', trans.__('Most iterations'), '')}
        {text('parallel', trans.__('At the same time'), '')}
      </Fold>
    </>
  );
}

function Fold({ title, open, children }: { title: string; open?: boolean; children: ReactNode }) {
  return (
    <details className="mlrun-Form-fold" open={open}>
      <summary>{title}</summary>
      {children}
    </details>
  );
}
