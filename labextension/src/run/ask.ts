/** What is asked before a run is ended or deleted. */
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { RunSummary } from '../api/types';
import { Model } from '../model';

async function sure(title: string, body: string, label: string): Promise<boolean> {
  const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label })];
  return (await showDialog({ title, body, buttons })).button.accept;
}

/** Ends the run if the user is sure; says whether. */
export async function abortRun(model: Model, run: RunSummary, trans: TranslationBundle): Promise<boolean> {
  const title = trans.__('Abort "%1"?', run.name);
  const yes = await sure(title, trans.__('What it has stored so far stays.'), trans.__('Abort'));
  if (yes) {
    await model.client.send('POST', `runs/${run.uid}/abort`);
  }
  return yes;
}

/** Deletes the run if the user is sure; says whether. */
export async function deleteRun(model: Model, run: RunSummary, trans: TranslationBundle): Promise<boolean> {
  const body = trans.__('Its record, log and notebook are deleted. Artifacts that it made stay.');
  const yes = await sure(trans.__('Delete the run "%1"?', run.name), body, trans.__('Delete'));
  if (yes) {
    await model.client.send('DELETE', `runs/${run.uid}`);
    model.forget(run.uid);
  }
  return yes;
}
