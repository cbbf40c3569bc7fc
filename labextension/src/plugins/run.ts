/** The view of a run. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ServerConnection } from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Commands, commandOf } from '../commands';
import { RunDetail } from '../api/types';
import { RunView, Tab } from '../run/view';
import { IModel } from '../tokens';
import { addView } from '../views/open';

export const run: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:run',
  description: 'A view of a run in the main area.',
  autoStart: true,
  requires: [IModel, IRenderMimeRegistry],
  optional: [ITranslator, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    model: IModel,
    rendermime: IRenderMimeRegistry,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const command = (name: string, args: Record<string, string>) => void app.commands.execute(name, args);
    const services = {
      rendermime,
      open: (uid: string) => command(Commands.openRun, { uid }),
      compare: (uids: string[]) => void app.commands.execute(Commands.compare, { uids }),
      openStored: (uri: string) => command(commandOf(uri), { uri }),
      openFunction: (uri: string) => command(Commands.openFunction, { uri }),
      openDashboard: (name: 'mlflow' | 'dask', uid: string) =>
        command(name === 'mlflow' ? Commands.openMlflow : Commands.openDask, { uid }),
      openNotebook: async (of: RunDetail) => {
        const notebook = await model.client.get<object>(`runs/${of.uid}/notebook`);
        const path = `${of.name}-${of.uid.slice(0, 8)}${of.uid.slice(-4)}.ipynb`;
        // the copy of a run that is over does not change; what somebody wrote into it is not written over
        const there = await isThere(app, path);
        if (!there || !of.ended) {
          await app.serviceManager.contents.save(path, { type: 'notebook', format: 'json', content: notebook });
        }
        await app.commands.execute('docmanager:open', { path });
      }
    };
    const tracker = addView(app, restorer, {
      command: Commands.openRun,
      label: trans.__('Open a Run'),
      namespace: 'mlrun-run',
      keyOf: args => {
        if (!args.uid) {
          throw new Error('Give the uid of the run, as in {"uid": "…"}.');
        }
        return String(args.uid);
      },
      create: (uid, args) => {
        const known = model.runs.items.find(each => each.uid === uid);
        const tab = (args.tab as Tab | undefined) ?? 'overview';
        const made = new RunView(uid, known?.name ?? uid.slice(0, 8), model, trans, services, tab);
        made.tabChanged.connect(view => {
          const widget = tracker.find(each => each.content === view);
          if (widget) {
            void tracker.save(widget);
          }
        });
        return made;
      }
    });
  }
};

/** @throws what the server says, unless that the file is not there. */
async function isThere(app: JupyterFrontEnd, path: string): Promise<boolean> {
  try {
    await app.serviceManager.contents.get(path, { content: false });
    return true;
  } catch (error) {
    if (error instanceof ServerConnection.ResponseError && error.response.status === 404) {
      return false;
    }
    throw error;
  }
}
