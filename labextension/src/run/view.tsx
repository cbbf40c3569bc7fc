/** The main-area view of one run. */
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Clipboard, Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { ReactNode, useEffect, useRef, useState } from 'react';
import { ApiError } from '../api/client';
import { Entry, RunDetail, RunSummary, TERMINAL } from '../api/types';
import { bytes, duration, value } from '../format';
import { mlrunIcon } from '../icon';
import { Model, asApiError } from '../model';
import { Boundary, ErrorBox, StateMark, Trans, useTrans } from '../parts';
import { Log } from './log';

export class RunView extends ReactWidget {
  constructor(
    readonly key: string,
    name: string,
    private readonly _model: Model,
    private readonly _trans: TranslationBundle,
    private readonly _open: (uid: string) => void
  ) {
    super();
    this.id = `mlrun-run-${key}`;
    this.title.label = name;
    this.title.caption = key;
    this.title.icon = mlrunIcon;
    this.title.closable = true;
    this.addClass('mlrun-View');
    this.node.tabIndex = -1;
  }

  get args() {
    return { uid: this.key };
  }

  render() {
    return (
      <Trans.Provider value={this._trans}>
        <Boundary name={this.title.label}>
          <Body uid={this.key} model={this._model} open={this._open} named={name => (this.title.label = name)} />
        </Boundary>
      </Trans.Provider>
    );
  }
}

interface IBody {
  uid: string;
  model: Model;
  open(uid: string): void;
  named(name: string): void;
}

function Body({ uid, model, open, named }: IBody) {
  const trans = useTrans();
  const [run, setRun] = useState<RunDetail | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let gone = false;
    model.client.get<RunDetail>(`runs/${uid}`).then(
      found => {
        if (!gone) {
          setRun(found);
          setError(null);
          named(found.name);
        }
      },
      failure => !gone && setError(asApiError(failure))
    );
    return () => {
      gone = true;
    };
  }, [uid, turn]);
  useEffect(() => {
    const changed = (_: Model, next: RunSummary) => {
      if (next.uid === uid && !next.iteration) {
        setRun(before => before && { ...before, ...next });
        if (TERMINAL.has(next.state)) {
          setTurn(before => before + 1);
        }
      }
    };
    model.runChanged.connect(changed);
    return () => void model.runChanged.disconnect(changed);
  }, [uid]);
  if (!run) {
    return error ? (
      <ErrorBox error={error} retry={() => setTurn(turn + 1)} />
    ) : (
      <div className="mlrun-Empty" role="status">
        {trans.__('Loading…')}
      </div>
    );
  }
  return (
    <div className="mlrun-Run">
      <header>
        <h1>{run.name}</h1>
        <StateMark state={run.state} />
        <span className="mlrun-Dim">{duration(run.duration)}</span>
        <Buttons run={run} model={model} open={open} />
      </header>
      {error && <ErrorBox error={error} retry={() => setTurn(turn + 1)} />}
      {run.cause && <p className="mlrun-Cause">{run.cause}</p>}
      <div className="mlrun-Columns">
        <Facts title={trans.__('Results')} facts={run.results} empty={trans.__('none')} />
        <Facts title={trans.__('Parameters')} facts={run.parameters} empty={trans.__('none')} />
        <Facts
          title={trans.__('About')}
          facts={{
            [trans.__('function')]: run.function,
            [trans.__('uid')]: run.uid,
            [trans.__('created')]: run.created && new Date(run.created).toLocaleString(),
            [trans.__('where')]: run.executor,
            [trans.__('who')]: run.owner,
            [trans.__('commit')]: run.commit,
            [trans.__('memory')]: run.peak_memory ? bytes(run.peak_memory) : '',
            ...run.inputs
          }}
          empty=""
        />
      </div>
      {run.error && (
        <Part title={trans.__('Error')}>
          <pre className="mlrun-Log">{run.error}</pre>
        </Part>
      )}
      {run.artifacts.length > 0 && (
        <Part title={trans.__('Artifacts')}>
          <ul className="mlrun-Artifacts">
            {run.artifacts.map(each => (
              <li key={each.uri}>
                <span>{each.key}</span>
                <span className="mlrun-Dim">{each.kind}</span>
                <span className="mlrun-Dim">{bytes(each.size)}</span>
                <button
                  className="jp-Button jp-mod-styled jp-mod-minimal"
                  onClick={() => Clipboard.copyToSystem(each.uri)}
                >
                  {trans.__('Copy URI')}
                </button>
              </li>
            ))}
          </ul>
        </Part>
      )}
      {run.notes.length > 0 && (
        <Part title={trans.__('Notes')}>
          <ul>
            {run.notes.map((each, at) => (
              <li key={at}>{each}</li>
            ))}
          </ul>
        </Part>
      )}
      <Part title={trans.__('Log')}>
        <Boundary name={trans.__('Log')}>
          <LiveLog uid={uid} model={model} going={!TERMINAL.has(run.state)} />
        </Boundary>
      </Part>
    </div>
  );
}

const Part = ({ title, children }: { title: string; children: ReactNode }) => (
  <section className="mlrun-Part">
    <h2>{title}</h2>
    {children}
  </section>
);

function Facts({ title, facts, empty }: { title: string; facts: Record<string, unknown>; empty: string }) {
  const shown = Object.entries(facts).filter(([, each]) => each !== '' && each !== undefined);
  return (
    <Part title={title}>
      {shown.length ? (
        <dl>
          {shown.map(([name, each]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd title={value(each)}>{value(each)}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <p className="mlrun-Dim">{empty}</p>
      )}
    </Part>
  );
}

function Buttons({ run, model, open }: { run: RunDetail; model: Model; open(uid: string): void }) {
  const trans = useTrans();
  const [busy, setBusy] = useState(false);
  const act = async (call: () => Promise<void>) => {
    setBusy(true);
    try {
      await call();
    } catch (failure) {
      const error = asApiError(failure);
      Notification.error([error.what, error.why, error.nextStep].filter(Boolean).join(' '), { autoClose: false });
    } finally {
      setBusy(false);
    }
  };
  const abort = () =>
    act(async () => {
      const answer = await showDialog({
        title: trans.__('Abort "%1"?', run.name),
        body: trans.__('What it has stored so far stays.'),
        buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Abort') })]
      });
      if (answer.button.accept) {
        await model.client.send('POST', `runs/${run.uid}/abort`);
      }
    });
  const rerun = () =>
    act(async () => {
      const next = await model.client.send<RunDetail>('POST', `runs/${run.uid}/rerun`, {});
      open(next.uid);
    });
  return (
    <span className="mlrun-Buttons" role="toolbar" aria-label={trans.__('Run')}>
      {TERMINAL.has(run.state) ? (
        <button className="jp-Button jp-mod-styled jp-mod-accept" disabled={busy} onClick={rerun}>
          {trans.__('Run again')}
        </button>
      ) : (
        <button className="jp-Button jp-mod-styled jp-mod-warn" disabled={busy} onClick={abort}>
          {trans.__('Abort')}
        </button>
      )}
      <button
        className="jp-Button jp-mod-styled jp-mod-reject"
        onClick={() => Clipboard.copyToSystem(`${run.project}@${run.uid}`)}
      >
        {trans.__('Copy URI')}
      </button>
    </span>
  );
}

/** What the run has printed, followed while it goes on; stays at the end unless the reader has scrolled up. */
function LiveLog({ uid, model, going }: { uid: string; model: Model; going: boolean }) {
  const trans = useTrans();
  const log = useRef(new Log());
  const node = useRef<HTMLPreElement>(null);
  const [text, setText] = useState('');
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    let gone = false;
    let reading = false;
    let again = false;
    const read = async () => {
      // one reader at a time: entries have an order, and the pages give it
      if (reading) {
        again = true;
        return;
      }
      reading = true;
      try {
        for (let more = true; more && !gone;) {
          const page = await model.client.get<{ entries: Entry[]; last: number }>(`runs/${uid}/journal`, {
            after: log.current.last,
            limit: 1000
          });
          log.current.add(page.entries);
          more = page.entries.length >= 1000 || again;
          again = false;
        }
        if (!gone) {
          setText(log.current.text);
          setError(null);
        }
      } catch (failure) {
        if (!gone) {
          setError(asApiError(failure));
        }
      }
      reading = false;
    };
    const heard = (_: Model, event: { uid: string; entries: Entry[] }) => {
      if (event.uid !== uid) {
        return;
      }
      if (reading || (event.entries[0] && event.entries[0].n > log.current.last + 1)) {
        // something before it is missing: the journal itself has it
        void read();
      } else {
        log.current.add(event.entries);
        setText(log.current.text);
      }
    };
    model.journal.connect(heard);
    const watch = going ? model.watch(uid) : null;
    void read();
    return () => {
      gone = true;
      model.journal.disconnect(heard);
      watch?.dispose();
    };
  }, [uid, going]);
  const atEnd = useRef(true);
  useEffect(() => {
    if (atEnd.current && node.current) {
      node.current.scrollTop = node.current.scrollHeight;
    }
  }, [text]);
  return (
    <>
      {error && <ErrorBox error={error} />}
      <pre
        className="mlrun-Log"
        ref={node}
        tabIndex={0}
        aria-label={trans.__('Log')}
        onScroll={event => {
          const it = event.currentTarget;
          atEnd.current = it.scrollHeight - it.scrollTop - it.clientHeight < 20;
        }}
      >
        {text || (going ? trans.__('Nothing printed yet.') : trans.__('Nothing was printed.'))}
      </pre>
    </>
  );
}
