/** Where JupyterLab is told of us: the command palette, the launcher, the status bar. Menus and shortcuts stand in the schema. */
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Commands } from '../commands';
import { mlrunIcon } from '../icon';
import { starter } from '../starter';
import { StatusItem } from '../status';
import { IModel } from '../tokens';

export const shell: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:shell',
  description: 'The commands in the palette, a card in the launcher, an item in the status bar.',
  autoStart: true,
  requires: [IModel],
  optional: [ICommandPalette, ILauncher, IStatusBar, IDefaultFileBrowser, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: IModel,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    statusBar: IStatusBar | null,
    browser: IDefaultFileBrowser | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const { commands, serviceManager } = app;

    commands.addCommand(Commands.newNotebook, {
      label: args => (args.isPalette ? trans.__('New MLRun Notebook') : trans.__('MLRun Notebook')),
      caption: trans.__('A notebook with a function to begin with'),
      icon: args => (args.isPalette ? undefined : mlrunIcon),
      execute: async args => {
        const path = String(args.cwd ?? browser?.model.path ?? '');
        await serviceManager.kernelspecs.ready;
        const kernel = pythonKernel(serviceManager.kernelspecs.specs);
        if (!kernel) {
          throw new Error(trans.__('There is no Python kernel. Install ipykernel in the environment of the server.'));
        }
        const content = starter(model.project || 'my-project', kernel, trans);
        const made = await serviceManager.contents.newUntitled({ path, type: 'notebook', ext: 'ipynb' });
        await serviceManager.contents.save(made.path, { type: 'notebook', format: 'json', content });
        return commands.execute('docmanager:open', {
          path: made.path,
          factory: 'Notebook',
          kernel: { name: kernel.name }
        });
      }
    });

    if (palette) {
      const category = trans.__('MLRun');
      palette.addItem({ command: Commands.showPanel, category });
      palette.addItem({ command: Commands.newNotebook, category, args: { isPalette: true } });
      palette.addItem({ command: Commands.turnIntoFunction, category });
    }
    launcher?.add({ command: Commands.newNotebook, category: trans.__('Other'), rank: 4 });
    statusBar?.registerStatusItem('mlrun-jupyter:status', {
      item: new StatusItem(model, () => void commands.execute(Commands.showPanel), trans),
      align: 'left',
      rank: 10
    });
  }
};

interface ISpecs {
  default: string;
  kernelspecs: { [name: string]: { name: string; display_name: string; language: string } | undefined };
}

/** The default kernel if it speaks Python, else the first one that does. */
function pythonKernel(specs: ISpecs | null): { name: string; title: string } | null {
  const all = Object.values(specs?.kernelspecs ?? {}).filter(each => each?.language.toLowerCase() === 'python');
  const found = all.find(each => each?.name === specs?.default) ?? all[0];
  return found ? { name: found.name, title: found.display_name } : null;
}
