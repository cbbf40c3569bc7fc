/** "Turn into function…": what the cell takes and leaves behind, and the line that comes of it. */
import { Dialog, ReactWidget } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useRef, useState } from 'react';
import type { Analysis } from '../api/types';
import { Boundary, Trans, useTrans } from '../parts';
import { IDraft, Taken, acceptable, draftOf, headOf } from './draft';
import {
  IDeclared,
  IHead,
  asName,
  isFeatureCell,
  isFunctionCell,
  isName,
  read,
  replaceHead,
  split,
  write
} from './line';

export interface IAsk {
  source: string;
  /** A name for a cell without one. */
  name: string;
  /** Names that functions of the project have already. */
  known: readonly string[];
  analyse(source: string, name?: string): Promise<Analysis>;
  trans: TranslationBundle;
}

/** Asks; gives the new text of the cell, or `null` when it is to stay as it is. */
export async function askForFunction(ask: IAsk): Promise<string | null> {
  const stands = isFunctionCell(ask.source);
  const body = new Body(ask);
  const dialog = new Dialog<string>({
    title: stands ? ask.trans.__('Edit Function') : ask.trans.__('Turn Cell into Function'),
    body,
    buttons: [
      Dialog.cancelButton(),
      Dialog.okButton({ label: stands ? ask.trans.__('Change the Line') : ask.trans.__('Write the Line') })
    ]
  });
  dialog.addClass('mlrun-FunctionDialog');
  body.onAcceptable = good => dialog.node.classList.toggle('mlrun-mod-blocked', !good);
  const result = await dialog.launch();
  return result.button.accept && body.good ? body.getValue() : null;
}

class Body extends ReactWidget implements Dialog.IBodyWidget<string> {
  good = false;
  onAcceptable: (good: boolean) => void = () => undefined;
  private _head = '';

  constructor(private readonly _ask: IAsk) {
    super();
    this.addClass('mlrun-FunctionDialog-body');
  }

  getValue(): string {
    return replaceHead(this._ask.source, this._head);
  }

  render() {
    const changed = (head: string, good: boolean) => {
      this._head = head;
      this.good = good;
      const button = this.parent?.parent?.node.querySelector<HTMLButtonElement>('.jp-mod-accept');
      if (button) {
        button.disabled = !good;
      }
      this.onAcceptable(good);
    };
    return (
      <Trans.Provider value={this._ask.trans}>
        <Boundary name={this._ask.trans.__('Turn Cell into Function')}>
          <Form ask={this._ask} changed={changed} />
        </Boundary>
      </Trans.Provider>
    );
  }
}

const PARAMETERS = ['', 'int', 'float', 'bool', 'str', 'list', 'dict', 'path', 'datetime'];
const INPUTS = ['', 'DataFrame', 'DataItem', 'path', 'str', 'bytes'];
const OUTPUTS = ['', 'result', 'dataset', 'file', 'model', 'plot'];
const PAUSE = 300;

function Form({ ask, changed }: { ask: IAsk; changed(head: string, good: boolean): void }) {
  const trans = useTrans();
  const [draft, setDraft] = useState<IDraft | null>(null);
  const [analysis, setAnalysis] = useState<Analysis | null>(null);
  const [failed, setFailed] = useState('');
  const turn = useRef(0);
  const name = useRef<HTMLInputElement>(null);
  const { head, body } = split(ask.source);

  useEffect(() => {
    if (isFeatureCell(ask.source)) {
      setFailed(trans.__('This cell fills a feature set. Change its line in the cell; completion knows the options.'));
      return;
    }
    let stands: IHead | null = null;
    try {
      stands = head.length ? read(head) : null;
    } catch (error) {
      setFailed(trans.__('The line cannot be read: %1 Correct it in the cell.', String((error as Error).message)));
      return;
    }
    const begin = (found: IHead) =>
      setDraft(draftOf(found, stands, ask.name || asName(found.outputs[0]?.name ?? '') || 'my-function'));
    const none: IHead = { name: '', parameters: [], inputs: [], outputs: [], others: [] };
    ask.analyse(body, ask.name).then(
      found => begin(read(found.line.split('\n'))),
      error => {
        // the line can be written by hand as well
        setFailed(trans.__('The cell could not be read: %1', String(error.message)));
        begin(none);
      }
    );
  }, []);

  const text = draft ? write(headOf(draft)) : '';
  useEffect(() => {
    changed(text, draft !== null && acceptable(draft, analysis));
  }, [text, analysis]);
  useEffect(() => {
    if (!draft) {
      return;
    }
    const mine = ++turn.current;
    const timer = setTimeout(() => {
      ask.analyse(replaceHead(ask.source, text)).then(
        found => {
          if (mine === turn.current) {
            setAnalysis(found);
            setFailed('');
          }
        },
        error => mine === turn.current && setFailed(trans.__('The cell could not be read: %1', String(error.message)))
      );
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => {
    name.current?.focus();
    name.current?.select();
  }, [draft === null]);

  if (!draft) {
    return <div role="status">{failed || trans.__('Reading the cell…')}</div>;
  }
  const change = (more: Partial<IDraft>) => setDraft({ ...draft, ...more });
  const headCount = text.split('\n').length;
  const good = isName(draft.name);
  return (
    <>
      <label className="mlrun-FunctionDialog-name">
        <span>{trans.__('Name')}</span>
        <input
          ref={name}
          className="jp-mod-styled"
          aria-label={trans.__('Name')}
          value={draft.name}
          spellCheck={false}
          aria-invalid={!good}
          onChange={event => change({ name: event.target.value })}
        />
        <span className="mlrun-Dim" role={good ? undefined : 'alert'}>
          {!good
            ? trans.__('a-z, 0-9 and - only')
            : ask.known.includes(draft.name)
              ? trans.__('a new version of it')
              : trans.__('a new function')}
        </span>
      </label>
      <Table
        title={trans.__('Parameters')}
        what={trans.__('values that a run may change')}
        rows={draft.parameters}
        types={PARAMETERS}
        set={parameters => change({ parameters })}
        add={() => ({ name: '', type: '', doc: '', taken: true })}
        place={trans.__('Default')}
      />
      <Table
        title={trans.__('Inputs')}
        what={trans.__('data that a run reads')}
        rows={draft.inputs}
        types={INPUTS}
        set={inputs => change({ inputs })}
        add={() => ({ name: '', type: '', doc: '', taken: true })}
        place={trans.__('Path or URI')}
      />
      <Table
        title={trans.__('Outputs')}
        what={trans.__('what it leaves behind')}
        rows={draft.outputs}
        types={OUTPUTS}
        set={outputs => change({ outputs })}
        add={() => ({ name: '', type: '', taken: true })}
      />
      {failed && (
        <div className="mlrun-Error" role="alert">
          {failed}
        </div>
      )}
      {analysis && analysis.problems.length > 0 && (
        <section aria-live="polite" className="mlrun-FunctionDialog-problems">
          <h4>{trans.__('Problems')}</h4>
          <ul>
            {analysis.problems.map((each, at) => (
              <li key={at}>
                <span className="mlrun-Dim">
                  {each.cell
                    ? trans.__('cell [%1], line %2', each.cell, each.line)
                    : trans.__(
                        'line %1',
                        Math.max(1, each.kind === 'line' ? each.line : each.line - headCount + head.length)
                      )}
                </span>
                <span>
                  {each.name && <code>{each.name}</code>} {each.message}
                  {each.next_step && <div className="mlrun-Error-next">{each.next_step}</div>}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h4>{trans.__('The line')}</h4>
        <pre className="mlrun-FunctionDialog-line" tabIndex={0} aria-label={trans.__('The line that is written')}>
          {text}
        </pre>
      </section>
    </>
  );
}

type Row = Taken<{ name: string; type: string } & Partial<IDeclared>>;

interface ITable<T extends Row> {
  title: string;
  what: string;
  rows: readonly T[];
  types: readonly string[];
  /** What the default is called; without it rows have none, and no documentation. */
  place?: string;
  set(rows: T[]): void;
  add(): T;
}

function Table<T extends Row>({ title, what, rows, types, place, set, add }: ITable<T>) {
  const trans = useTrans();
  const change = (at: number, more: Partial<Row>) =>
    set(rows.map((row, index) => (index === at ? { ...row, ...more } : row)));
  return (
    <section>
      <h4>
        {title} <span className="mlrun-Dim">{what}</span>
        <button className="jp-Button jp-mod-styled jp-mod-minimal" onClick={() => set([...rows, add()])} type="button">
          {trans.__('Add')}
        </button>
      </h4>
      {rows.map((row, at) => (
        <div key={at} className="mlrun-FunctionDialog-row" data-taken={row.taken} data-wide={Boolean(place)}>
          <input
            type="checkbox"
            checked={row.taken}
            aria-label={trans.__('Take %1', row.name)}
            onChange={event => change(at, { taken: event.target.checked })}
          />
          <input
            className="jp-mod-styled"
            value={row.name}
            placeholder={trans.__('name')}
            aria-label={trans.__('Name in %1', title)}
            spellCheck={false}
            onChange={event => change(at, { name: event.target.value.trim() })}
          />
          <select
            value={row.type}
            aria-label={trans.__('Type of %1', row.name)}
            onChange={event => change(at, { type: event.target.value })}
          >
            {(types.includes(row.type) ? types : [...types, row.type]).map(type => (
              <option key={type} value={type}>
                {type || trans.__('any type')}
              </option>
            ))}
          </select>
          {place && (
            <>
              <input
                className="jp-mod-styled"
                value={row.default ?? ''}
                placeholder={row.default === undefined ? trans.__('required') : ''}
                aria-label={`${place}: ${row.name}`}
                title={place}
                spellCheck={false}
                onChange={event => change(at, { default: event.target.value === '' ? undefined : event.target.value })}
              />
              <input
                className="jp-mod-styled"
                value={row.doc ?? ''}
                placeholder={trans.__('what it means')}
                aria-label={trans.__('Description of %1', row.name)}
                onChange={event => change(at, { doc: event.target.value })}
              />
            </>
          )}
        </div>
      ))}
    </section>
  );
}
