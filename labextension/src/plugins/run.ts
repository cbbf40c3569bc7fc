/** The view of a run. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { PathExt, URLExt } from '@jupyterlab/coreutils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { INotebookContent } from '@jupyterlab/nbformat';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { RunDetail, TERMINAL } from '../api/types';
import { Commands } from '../commands';
import { IHost } from '../run/host';
import { RunView } from '../run/view';
import { IModel } from '../tokens';
import { addView } from '../views/open';

export const run: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:run',
  description: 'A view of a run in the main area.',
  autoStart: true,
  requires: [IModel, IRenderMimeRegistry],
  optional: [IEditorLanguageRegistry, IDefaultFileBrowser, ITranslator, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    model: IModel,
    rendermime: IRenderMimeRegistry,
    languages: IEditorLanguageRegistry | null,
    files: IDefaultFileBrowser | null,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const { contents, serverSettings } = app.serviceManager;
    const host: IHost = {
      model,
      rendermime,
      languages,
      address: path => URLExt.join(serverSettings.baseUrl, 'mlrun/v1', path),
      open: (command, args) => {
        if (app.commands.hasCommand(command)) {
          void app.commands.execute(command, args);
        } else {
          Notification.warning(trans.__('Nothing here shows %1.', args.uri ?? args.uid), { autoClose: 5000 });
        }
      },
      openNotebook: async (of: RunDetail) => {
        const folder = files?.model.path ?? '';
        const path = PathExt.join(folder, `${of.name}-${of.uid.slice(0, 12)}.ipynb`);
        const there = await contents.get(path, { content: false }).catch(() => null);
        // a copy that was made of the run when it was over is the reader's own by now
        if (!there || !TERMINAL.has(of.state)) {
          const content = await model.client.get<INotebookContent>(`runs/${of.uid}/notebook`);
          await contents.save(path, { type: 'notebook', format: 'json', content });
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
        return new RunView(uid, known?.name ?? uid.slice(0, 8), host, trans, String(args.page ?? ''));
      }
    });
    tracker.widgetAdded.connect((_, widget) => {
      widget.content.pageChanged.connect(() => void tracker.save(widget));
    });
  }
};
