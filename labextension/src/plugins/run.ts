/** The view of a run. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Commands } from '../commands';
import { RunView } from '../run/view';
import { IModel } from '../tokens';
import { addView } from '../views/open';

export const run: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:run',
  description: 'A view of a run in the main area.',
  autoStart: true,
  requires: [IModel],
  optional: [ITranslator, ILayoutRestorer],
  activate: (app: JupyterFrontEnd, model: IModel, translator: ITranslator | null, restorer: ILayoutRestorer | null) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const open = (uid: string) => void app.commands.execute(Commands.openRun, { uid });
    addView(app, restorer, {
      command: Commands.openRun,
      label: trans.__('Open a Run'),
      namespace: 'mlrun-run',
      keyOf: args => {
        if (!args.uid) {
          throw new Error('Give the uid of the run, as in {"uid": "…"}.');
        }
        return String(args.uid);
      },
      create: uid => {
        const known = model.runs.items.find(each => each.uid === uid);
        return new RunView(uid, known?.name ?? uid.slice(0, 8), model, trans, open);
      }
    });
  }
};
