/** The model, and the toasts when a run ends. */
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Client } from '../api/client';
import { SETTINGS } from '../commands';
import { Model } from '../model';
import { IModel } from '../tokens';
import { Toasts, whichOf } from '../toasts';

/** Milliseconds for which a tab that nobody sees is still told what happens. */
const HIDDEN = 5_000;
const SHOWN = 'mlrun-jupyter:project';

export const model: JupyterFrontEndPlugin<IModel> = {
  id: SETTINGS,
  description: 'The lists of a project, kept up to date by one stream of events.',
  autoStart: true,
  provides: IModel,
  optional: [ITranslator, ISettingRegistry, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    settings: ISettingRegistry | null,
    state: IStateDB | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const found = new Model(new Client(app.serviceManager.serverSettings));
    const toasts = new Toasts(trans, (command, args) => void app.commands.execute(command, args), Notification.emit);
    found.runEnded.connect((_, run) => toasts.add(run));
    const begin = async () => {
      let preferred = '';
      try {
        const loaded = await settings?.load(SETTINGS);
        if (loaded) {
          preferred = String(loaded.composite.project ?? '');
          const read = () => (toasts.which = whichOf(loaded.composite.toasts));
          loaded.changed.connect(read);
          read();
        }
      } catch (error) {
        console.warn('MLRun: the settings could not be read; the defaults are used.', error);
      }
      // the project that was shown last in this workspace comes before the one that the settings name
      const last = await state?.fetch(SHOWN).catch(error => {
        console.warn('MLRun: the project that was shown last is not known.', error);
        return undefined;
      });
      await found.start(typeof last === 'string' && last ? last : preferred);
      let kept = found.project;
      found.changed.connect(() => {
        if (found.project && found.project !== kept) {
          kept = found.project;
          void state?.save(SHOWN, kept);
        }
      });
    };
    void app.restored.then(begin);
    // Browsers open six connections to a server, for all of their tabs; this one, kept open by six that nobody sees, would leave none.
    let hidden: ReturnType<typeof setTimeout> | undefined;
    document.addEventListener('visibilitychange', () => {
      clearTimeout(hidden);
      if (document.visibilityState === 'hidden') {
        hidden = setTimeout(() => found.pause(), HIDDEN);
      } else {
        found.resume();
      }
    });
    return found;
  }
};
