/** The controls of a form: a label, what stands in it, what is wrong. */
import { ReactNode, useEffect, useId, useState } from 'react';
import { IClient } from '../api/client';
import { stringify } from '../api/json';
import { Completions, Input } from '../api/types';
import { value as shown } from '../format';
import { useTrans } from '../parts';
import { IEntry, IField, read, same } from './fields';

interface IDescribed {
  id: string;
  'aria-invalid': boolean;
  'aria-describedby': string;
}

interface ILabelled {
  id: string;
  label: string;
  type?: string;
  doc: string;
  problem: string;
  required?: boolean;
  mark?: string;
  children(described: IDescribed): ReactNode;
}

export function Labelled({ id, label, type, doc, problem, required, mark, children }: ILabelled) {
  const trans = useTrans();
  return (
    <div className="mlrun-Field" data-problem={problem ? 'true' : undefined}>
      <label htmlFor={id}>
        <span className="mlrun-Field-name">{label}</span>{' '}
        {required && (
          <span className="mlrun-Field-required" title={trans.__('needed')} aria-hidden="true">
            *
          </span>
        )}
        {type && <span className="mlrun-Field-type">{type}</span>}
        {mark && <span className="mlrun-Field-mark">{mark}</span>}
      </label>
      <div className="mlrun-Field-control">
        {children({ id, 'aria-invalid': !!problem, 'aria-describedby': `${id}-doc` })}
        <div id={`${id}-doc`} className="mlrun-Field-doc">
          {problem && <div className="mlrun-Field-problem">{problem}</div>}
          {doc && <div>{doc}</div>}
        </div>
      </div>
    </div>
  );
}

interface IEntryField {
  field: IField;
  entry: IEntry;
  problem: string;
  /** Said of a value that is not the one it began with; empty: the default is told instead. */
  changed: string;
  start: unknown;
  set(entry: IEntry): void;
  left(entry: IEntry): void;
}

export function EntryField({ field, entry, problem, changed, start, set, left }: IEntryField) {
  const trans = useTrans();
  const id = useId();
  const found = read(field, entry);
  const differs = !found.problem && found.value !== undefined && !same(found.value, start);
  const texts = [field.doc];
  if (changed && differs) {
    texts.push(trans.__('It was %1.', start === undefined ? trans.__('not given') : shown(start)));
  } else if (!changed && !field.required && differs) {
    texts.push(trans.__('Default: %1', start === null ? trans.__('none') : shown(start)));
  }
  if (field.kind === 'any' && entry.text.trim() && !found.problem) {
    texts.push(trans.__('Taken as %1.', kindOf(found.value, trans.__('text'))));
  }
  const write = (text: string) => set({ text, none: false, touched: true });
  return (
    <Labelled
      id={id}
      label={field.name}
      type={field.type || undefined}
      doc={texts.filter(Boolean).join(' ')}
      problem={problem}
      required={field.required && !field.optional}
      mark={changed && differs ? changed : undefined}
    >
      {described => {
        const common = {
          ...described,
          'data-field': `param:${field.name}`,
          'aria-required': field.required && !field.optional,
          onBlur: () => entry.touched && left(entry)
        };
        return (
          <div className="mlrun-Field-row">
            {control(field, entry, common, write, text => set({ text, none: text === NONE, touched: true }))}
            {field.kind === 'text' && field.optional && (
              <label className="mlrun-Field-none">
                <input
                  type="checkbox"
                  checked={entry.none || (entry.text === '' && !entry.touched)}
                  onChange={event => set({ text: '', none: event.target.checked, touched: true })}
                />
                {trans.__('none')}
              </label>
            )}
          </div>
        );
      }}
    </Labelled>
  );

  function control(
    of: IField,
    at: IEntry,
    common: any,
    type: (text: string) => void,
    choose: (text: string) => void
  ): ReactNode {
    if (of.kind === 'boolean' && !of.optional && !of.required) {
      return (
        <input
          {...common}
          type="checkbox"
          checked={at.text === 'true'}
          onChange={event => type(event.target.checked ? 'true' : 'false')}
        />
      );
    }
    if (of.kind === 'boolean' || of.kind === 'choice') {
      const choices: [string, string][] =
        of.kind === 'boolean'
          ? [
              ['true', trans.__('yes')],
              ['false', trans.__('no')]
            ]
          : of.choices.map(each => [stringify(each), shown(each)]);
      const empty = of.optional ? trans.__('none') : trans.__('choose…');
      return (
        <div className="jp-select-wrapper">
          <select
            {...common}
            className="jp-mod-styled"
            value={at.none ? NONE : at.text}
            onChange={event => choose(event.target.value)}
          >
            {(of.optional || of.required || !at.text) && <option value={NONE}>{empty}</option>}
            {choices.map(([key, text]) => (
              <option key={key} value={key}>
                {text}
              </option>
            ))}
          </select>
        </div>
      );
    }
    if (of.kind === 'json' || (of.kind === 'any' && at.text.includes('\n'))) {
      const lines = Math.min(8, Math.max(2, at.text.split('\n').length));
      return (
        <textarea
          {...common}
          rows={lines}
          spellCheck={false}
          value={at.text}
          placeholder={of.optional ? trans.__('none') : ''}
          onChange={event => type(event.target.value)}
        />
      );
    }
    if (of.kind === 'text' && at.text.includes('\n')) {
      return <textarea {...common} rows={3} value={at.text} onChange={event => type(event.target.value)} />;
    }
    const numeric = of.kind === 'integer' ? 'numeric' : of.kind === 'number' ? 'decimal' : undefined;
    return (
      <input
        {...common}
        type="text"
        inputMode={numeric}
        spellCheck={false}
        autoComplete="off"
        value={at.text}
        placeholder={of.optional ? trans.__('none') : ''}
        onChange={event => type(event.target.value)}
      />
    );
  }
}

const NONE = '';

function kindOf(value: unknown, text: string): string {
  return value === null
    ? 'null'
    : Array.isArray(value)
      ? 'list'
      : typeof value === 'string'
        ? text
        : typeof value === 'object'
          ? 'dict'
          : typeof value === 'boolean'
            ? 'bool'
            : Number.isInteger(value) || typeof value === 'bigint'
              ? 'int'
              : 'float';
}

interface IInputField {
  client: IClient;
  project: string;
  input: Input;
  text: string;
  problem: string;
  set(text: string): void;
}

/** An input: a path, a URL or the URI of an artifact, with those that are there. */
export function InputField({ client, project, input, text, problem, set }: IInputField) {
  const trans = useTrans();
  const id = useId();
  const [words, setWords] = useState<Completions['items']>([]);
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    if (!asked) {
      return;
    }
    let gone = false;
    const kind = text === '' || 'store://'.startsWith(text) || text.startsWith('store://') ? 'artifact' : 'path';
    const timer = setTimeout(() => {
      client.get<Completions>('complete', { kind, prefix: text, project }).then(
        found => !gone && setWords(found.items),
        // one can type without them
        () => !gone && setWords([])
      );
    }, 150);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [client, project, text, asked]);
  return (
    <Labelled
      id={id}
      label={input.name}
      type={trans.__('input')}
      doc={input.doc || (input.default ? trans.__('Default: %1', input.default) : '')}
      problem={problem}
      required={input.required && !input.default}
    >
      {described => (
        <>
          <input
            {...described}
            data-field={`input:${input.name}`}
            aria-required={input.required}
            list={`${id}-words`}
            spellCheck={false}
            autoComplete="off"
            value={text}
            placeholder={input.default || trans.__('path, URL or store://…')}
            onFocus={() => setAsked(true)}
            onChange={event => set(event.target.value)}
          />
          <datalist id={`${id}-words`}>
            {words.map(each => (
              <option key={each.text} value={each.text} label={each.doc} />
            ))}
          </datalist>
        </>
      )}
    </Labelled>
  );
}
