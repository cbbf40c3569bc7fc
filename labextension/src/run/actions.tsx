/** What can be done with a run: the buttons of its view. */
import { useState } from 'react';
import { ApiError } from '../api/client';
import { Page, RunDetail, RunSummary, TERMINAL } from '../api/types';
import { Model } from '../model';
import { useTrans } from '../parts';
import { Button, attempt, copied } from '../views/pieces';
import { abortRun, deleteRun } from './ask';

export interface IActions {
  open(uid: string): void;
  compare(uids: string[]): void;
  /** Opens a copy of the executed notebook. */
  openNotebook(run: RunDetail): Promise<void>;
  /** The run was deleted. */
  gone(): void;
}

interface IButtons extends IActions {
  run: RunDetail;
  model: Model;
  changing: boolean;
  change(on: boolean): void;
}

export function Buttons({ run, model, open, openNotebook, compare, gone, changing, change }: IButtons) {
  const trans = useTrans();
  const [busy, setBusy] = useState(false);
  const act = async (call: () => Promise<unknown>) => {
    setBusy(true);
    await attempt(call);
    setBusy(false);
  };
  const abort = () => act(() => abortRun(model, run, trans));
  const remove = () => act(async () => (await deleteRun(model, run, trans)) && gone());
  const start = (what: 'rerun' | 'replay' | 'resume') =>
    act(async () => open((await model.client.send<{ uid: string }>('POST', `runs/${run.uid}/${what}`, {})).uid));
  const before = async () => {
    const name = run.function.replace(/@.*$/, '');
    const path = `projects/${encodeURIComponent(run.project)}/runs`;
    // uids begin with the time, so the one before is the first smaller one
    const page = await model.client.get<Page<RunSummary>>(path, { function: name, limit: 50, until: run.created });
    const found = page.items.find(each => each.uid !== run.uid);
    if (!found) {
      throw new ApiError(
        -1,
        trans.__('There is no earlier run to compare it with.'),
        '',
        trans.__('Run it again first.')
      );
    }
    compare([found.uid, run.uid]);
  };
  const over = TERMINAL.has(run.state);
  const failed = over && run.state !== 'completed';
  return (
    <div className="mlrun-Buttons" role="toolbar" aria-label={trans.__('Actions')}>
      {/* one button, which becomes another: so it keeps the focus */}
      <Button look={over ? 'accept' : 'warn'} busy={busy} onClick={over ? () => start('rerun') : abort}>
        {over ? trans.__('Run again') : trans.__('Abort')}
      </Button>
      <Button busy={busy} disabled={changing} onClick={() => change(true)}>
        {trans.__('Run again with changes…')}
      </Button>
      {failed && !run.is_sweep && (
        <Button
          look="minimal"
          busy={busy}
          label={trans.__('Go on at the cell that failed')}
          onClick={() => start('resume')}
        >
          {trans.__('Resume')}
        </Button>
      )}
      {over && !run.is_sweep && (
        <Button
          look="minimal"
          busy={busy}
          label={trans.__('Run it again exactly, and compare every output')}
          onClick={() => start('replay')}
        >
          {trans.__('Replay')}
        </Button>
      )}
      {over && !run.parent && (
        <Button
          look="minimal"
          busy={busy}
          label={trans.__('Compare with the run of this function before it')}
          onClick={() => act(before)}
        >
          {trans.__('Compare')}
        </Button>
      )}
      <Button
        look="minimal"
        busy={busy}
        label={trans.__('Open a copy of the executed notebook')}
        onClick={() => act(() => openNotebook(run))}
      >
        {trans.__('Open notebook')}
      </Button>
      {over && (
        <a
          className="jp-Button jp-mod-styled jp-mod-minimal mlrun-ButtonLink"
          href={model.client.url(`runs/${run.uid}/report`)}
          target="_blank"
          rel="noopener noreferrer"
        >
          {trans.__('Report')}
        </a>
      )}
      <Button look="minimal" onClick={() => copied(trans, run.uri)}>
        {trans.__('Copy URI')}
      </Button>
      {over && (
        <Button look="minimal" busy={busy} onClick={remove}>
          {trans.__('Delete')}
        </Button>
      )}
    </div>
  );
}
