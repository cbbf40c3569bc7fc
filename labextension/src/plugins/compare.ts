/** The view that compares runs. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Commands } from '../commands';
import { CompareView, MOST_RUNS } from '../compare/view';
import { mlrunIcon } from '../icon';
import { IModel } from '../tokens';
import { addView } from '../views/open';

export const compare: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:compare',
  description: 'A view that compares runs.',
  autoStart: true,
  requires: [IModel],
  optional: [ITranslator, ILayoutRestorer],
  activate: (app: JupyterFrontEnd, model: IModel, translator: ITranslator | null, restorer: ILayoutRestorer | null) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const uidsOf = (args: { uids?: unknown }) => {
      const uids = [...new Set(Array.isArray(args.uids) ? args.uids.map(String) : [])];
      if (uids.length < 2 || uids.length > MOST_RUNS) {
        throw new Error(
          `Give the uids of two to ${MOST_RUNS} runs, as in {"uids": ["…", "…"]}; there are ${uids.length}.`
        );
      }
      return uids;
    };
    addView(app, restorer, {
      command: Commands.compare,
      label: trans.__('Compare Runs'),
      namespace: 'mlrun-compare',
      keyOf: args => uidsOf(args).join('-'),
      create: (key, args) =>
        new CompareView(
          key,
          uidsOf(args),
          mlrunIcon,
          model,
          uid => void app.commands.execute(Commands.openRun, { uid }),
          trans
        )
    });
  }
};
