/** The plugins, each small. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, ICommandPalette, MainAreaWidget, Notification, WidgetTracker } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { createElement } from 'react';
import { Client } from './api/client';
import { mlrunIcon } from './icon';
import { Model } from './model';
import { ArtifactsSection, FunctionsSection, Panel, RunsSection } from './panel/view';
import { RunView } from './run/view';
import { Sections } from './sections';
import { ISections } from './tokens';

export { ISection, ISections } from './tokens';

const OPEN_RUN = 'mlrun:open-run';
const SHOW_PANEL = 'mlrun:show-panel';

const sections: JupyterFrontEndPlugin<ISections> = {
  id: 'mlrun-jupyter:sections',
  description: 'The registry of the side panel’s sections.',
  autoStart: true,
  provides: ISections,
  activate: () => new Sections()
};

const panel: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:plugin',
  description: 'Functions, runs and artifacts in a side panel, and a view of a run.',
  autoStart: true,
  requires: [ISections],
  optional: [ITranslator, ISettingRegistry, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    registry: ISections,
    translator: ITranslator | null,
    settings: ISettingRegistry | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const model = new Model(new Client(app.serviceManager.serverSettings));
    const tracker = new WidgetTracker<MainAreaWidget<RunView>>({ namespace: 'mlrun-run' });
    const openRun = (uid: string) => void app.commands.execute(OPEN_RUN, { uid });
    const copy = (text: string) => {
      Clipboard.copyToSystem(text);
      Notification.info(trans.__('Copied: %1', text), { autoClose: 3000 });
    };

    registry.add({
      id: 'runs',
      title: trans.__('Runs'),
      rank: 20,
      render: of => createElement(RunsSection, { model: of, open: run => openRun(run.uid) })
    });
    registry.add({
      id: 'functions',
      title: trans.__('Functions'),
      rank: 10,
      render: of => createElement(FunctionsSection, { model: of, copy })
    });
    registry.add({
      id: 'artifacts',
      title: trans.__('Artifacts'),
      rank: 30,
      render: of =>
        createElement(ArtifactsSection, {
          model: of,
          listing: 'artifacts',
          label: trans.__('Artifacts'),
          empty: trans.__('No artifacts yet. What a run returns or logs is kept here.'),
          copy
        })
    });
    registry.add({
      id: 'models',
      title: trans.__('Models'),
      rank: 40,
      render: of =>
        createElement(ArtifactsSection, {
          model: of,
          listing: 'models',
          label: trans.__('Models'),
          empty: trans.__('No models yet. A run stores one with --returns name:model.'),
          copy
        })
    });

    const side = new Panel(model, registry, trans);
    app.shell.add(side, 'left', { rank: 550 });
    restorer?.add(side, side.id);

    app.commands.addCommand(SHOW_PANEL, {
      label: trans.__('Show the MLRun Panel'),
      icon: mlrunIcon,
      execute: () => app.shell.activateById(side.id)
    });
    app.commands.addCommand(OPEN_RUN, {
      label: trans.__('Open a Run'),
      execute: args => {
        const uid = String(args.uid ?? '');
        if (!uid) {
          throw new Error('Give the uid of the run, as in {"uid": "…"}.');
        }
        let widget = tracker.find(each => each.content.uid === uid);
        if (!widget) {
          const known = model.runs.items.find(run => run.uid === uid);
          widget = new MainAreaWidget({
            content: new RunView(uid, known?.name ?? uid.slice(0, 8), model, trans, openRun)
          });
          widget.id = `mlrun-run-tab-${uid}`;
          void tracker.add(widget);
        }
        if (!widget.isAttached) {
          app.shell.add(widget, 'main');
        }
        app.shell.activateById(widget.id);
        return widget;
      }
    });
    palette?.addItem({ command: SHOW_PANEL, category: 'MLRun' });
    void restorer?.restore(tracker, {
      command: OPEN_RUN,
      args: widget => ({ uid: widget.content.uid }),
      name: widget => widget.content.uid
    });

    let toasts = true;
    model.runEnded.connect((_, run) => {
      if (!toasts || run.iteration) {
        return;
      }
      const actions = [{ label: trans.__('Open'), callback: () => openRun(run.uid) }];
      if (run.state === 'completed') {
        Notification.success(trans.__('%1 has completed.', run.name), { autoClose: 5000, actions });
      } else {
        Notification.error([trans.__('%1 did not complete.', run.name), run.cause].filter(Boolean).join(' '), {
          autoClose: false,
          actions
        });
      }
    });

    const begin = async () => {
      let preferred = '';
      try {
        const loaded = await settings?.load(panel.id);
        if (loaded) {
          preferred = String(loaded.composite.project ?? '');
          const read = () => (toasts = loaded.composite.toasts !== false);
          loaded.changed.connect(read);
          read();
        }
      } catch (error) {
        console.warn('MLRun: the settings could not be read; the defaults are used.', error);
      }
      await model.start(preferred);
    };
    void app.restored.then(begin);
  }
};

export default [sections, panel];
