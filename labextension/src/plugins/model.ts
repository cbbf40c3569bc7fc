/** The model, and the toasts when a run ends. */
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Client } from '../api/client';
import { Commands, SETTINGS } from '../commands';
import { Model } from '../model';
import { IModel } from '../tokens';

export const model: JupyterFrontEndPlugin<IModel> = {
  id: SETTINGS,
  description: 'The lists of a project, kept up to date by one stream of events.',
  autoStart: true,
  provides: IModel,
  optional: [ITranslator, ISettingRegistry],
  activate: (app: JupyterFrontEnd, translator: ITranslator | null, settings: ISettingRegistry | null) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const found = new Model(new Client(app.serviceManager.serverSettings));
    let toasts = true;
    found.runEnded.connect((_, run) => {
      if (!toasts || run.iteration) {
        return;
      }
      const open = () => void app.commands.execute(Commands.openRun, { uid: run.uid });
      const actions = [{ label: trans.__('Open'), callback: open }];
      if (run.state === 'completed') {
        Notification.success(trans.__('%1 has completed.', run.name), { autoClose: 5000, actions });
      } else {
        const text = [trans.__('%1 did not complete.', run.name), run.cause].filter(Boolean).join(' ');
        Notification.error(text, { autoClose: false, actions });
      }
    });
    const begin = async () => {
      let preferred = '';
      try {
        const loaded = await settings?.load(SETTINGS);
        if (loaded) {
          preferred = String(loaded.composite.project ?? '');
          const read = () => (toasts = loaded.composite.toasts !== false);
          loaded.changed.connect(read);
          read();
        }
      } catch (error) {
        console.warn('MLRun: the settings could not be read; the defaults are used.', error);
      }
      await found.start(preferred);
    };
    void app.restored.then(begin);
    return found;
  }
};
