/** Where JupyterLab is told of us: the command palette. */
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { Commands } from '../commands';

export const shell: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:shell',
  description: 'The commands in the palette.',
  autoStart: true,
  optional: [ICommandPalette],
  activate: (_: JupyterFrontEnd, palette: ICommandPalette | null) => {
    palette?.addItem({ command: Commands.showPanel, category: 'MLRun' });
  }
};
