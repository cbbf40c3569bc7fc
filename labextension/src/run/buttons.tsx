/** What can be done with a run. */
import { Clipboard, Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { CommandRegistry } from '@lumino/commands';
import { Menu } from '@lumino/widgets';
import { useRef, useState } from 'react';
import { RunDetail, TERMINAL } from '../api/types';
import { Commands } from '../commands';
import { asApiError } from '../model';
import { useTrans } from '../parts';
import { startAgain } from '../form/form';
import { useHost } from './host';

interface IButtons {
  run: RunDetail;
  change(): void;
  deleted(): void;
}

export function Buttons({ run, change, deleted }: IButtons) {
  const trans = useTrans();
  const host = useHost();
  const { client } = host.model;
  const [busy, setBusy] = useState(false);
  const more = useRef<HTMLButtonElement>(null);
  const over = TERMINAL.has(run.state);
  const act = async (call: () => Promise<unknown>) => {
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
  const openRun = (uid: string) => host.open(Commands.openRun, { uid });
  const sure = async (title: string, body: string, label: string) =>
    (await showDialog({ title, body, buttons: [Dialog.cancelButton(), Dialog.warnButton({ label })] })).button.accept;
  const abort = async () => {
    if (
      await sure(trans.__('Abort "%1"?', run.name), trans.__('What it has stored so far stays.'), trans.__('Abort'))
    ) {
      await client.send('POST', `runs/${run.uid}/abort`, {});
    }
  };
  const remove = async () => {
    const body = trans.__('Its record, log and notebook are deleted. Artifacts stay.');
    if (await sure(trans.__('Delete "%1"?', run.name), body, trans.__('Delete'))) {
      await client.send('DELETE', `runs/${run.uid}`);
      deleted();
    }
  };
  const copy = async () => {
    Clipboard.copyToSystem(run.uri);
    Notification.info(trans.__('Copied: %1', run.uri), { autoClose: 3000 });
  };
  const menu = () => {
    const commands = new CommandRegistry();
    const found = new Menu({ commands });
    const add = (id: string, label: string, call: () => Promise<unknown>, enabled = true) => {
      commands.addCommand(id, { label, isEnabled: () => enabled, execute: () => act(call) });
      found.addItem({ command: id });
    };
    add(
      'replay',
      trans.__('Replay exactly'),
      async () => openRun((await client.send<{ uid: string }>('POST', `runs/${run.uid}/replay`, {})).uid),
      over
    );
    add(
      'resume',
      trans.__('Resume where it failed'),
      async () => openRun((await client.send<RunDetail>('POST', `runs/${run.uid}/resume`, {})).uid),
      over && run.state !== 'completed'
    );
    found.addItem({ type: 'separator' });
    add('notebook', trans.__('Open a copy of the notebook'), () => host.openNotebook(run));
    add(
      'report',
      trans.__('Open report in a new browser tab'),
      async () => void window.open(host.address(`runs/${run.uid}/report`), '_blank', 'noopener')
    );
    add('copy', trans.__('Copy URI'), copy);
    found.addItem({ type: 'separator' });
    add('delete', trans.__('Delete…'), remove, over);
    const place = more.current!.getBoundingClientRect();
    found.aboutToClose.connect(() => more.current?.focus());
    found.open(place.left, place.bottom);
  };
  return (
    <span className="mlrun-Buttons" role="toolbar" aria-label={trans.__('Run')}>
      {over ? (
        <button
          className="jp-Button jp-mod-styled jp-mod-accept"
          disabled={busy}
          onClick={() => act(async () => openRun((await startAgain(client, run, { params: {}, inputs: {} })).uid))}
        >
          {trans.__('Run again')}
        </button>
      ) : (
        <button className="jp-Button jp-mod-styled jp-mod-warn" disabled={busy} onClick={() => act(abort)}>
          {trans.__('Abort')}
        </button>
      )}
      <button className="jp-Button jp-mod-styled jp-mod-reject" onClick={change}>
        {trans.__('Run again with changes…')}
      </button>
      <button
        ref={more}
        className="jp-Button jp-mod-styled jp-mod-reject"
        aria-haspopup="menu"
        aria-label={trans.__('More actions')}
        title={trans.__('More actions')}
        onClick={menu}
      >
        ⋯
      </button>
    </span>
  );
}
