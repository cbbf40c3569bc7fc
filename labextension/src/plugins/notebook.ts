/** In the notebook: cells turned into functions, badges, problems underlined, completion and help. */
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { CodeCell, ICellModel } from '@jupyterlab/cells';
import { EditorExtensionRegistry, IEditorExtensionRegistry } from '@jupyterlab/codemirror';
import { ICompletionProviderManager } from '@jupyterlab/completer';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Analysis } from '../api/types';
import { Commands, SETTINGS } from '../commands';
import { mlrunIcon } from '../icon';
import { Completer, helpFor } from '../notebook/completion';
import { askForFunction } from '../notebook/dialog';
import { isFunctionCell, split, suggestName } from '../notebook/line';
import { hover } from '../notebook/underline';
import { Watch } from '../notebook/watch';
import { IModel } from '../tokens';

export const notebook: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:notebook',
  description: 'Cells turned into functions, badges and problems of %%mlrun cells, completion and help for its lines.',
  autoStart: true,
  requires: [IModel, INotebookTracker],
  optional: [ITranslator, ISettingRegistry, ICompletionProviderManager, IEditorExtensionRegistry],
  activate: (
    app: JupyterFrontEnd,
    model: IModel,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    settings: ISettingRegistry | null,
    completers: ICompletionProviderManager | null,
    extensions: IEditorExtensionRegistry | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const { commands } = app;
    const watches = new Map<NotebookPanel, Watch>();
    const shown = { badges: true, underlines: true };
    const watch = (panel: NotebookPanel) => {
      const found = new Watch(panel, {
        model,
        trans,
        badges: () => shown.badges,
        underlines: () => shown.underlines,
        openRun: uid => void commands.execute(Commands.openRun, { uid }),
        openFunction: (project, name) => {
          if (commands.hasCommand(Commands.openFunction)) {
            void commands.execute(Commands.openFunction, { project, name });
          } else {
            void commands.execute(Commands.showPanel);
          }
        },
        edit: () => void commands.execute(Commands.turnIntoFunction)
      });
      watches.set(panel, found);
      panel.disposed.connect(() => watches.delete(panel));
    };
    tracker.forEach(watch);
    tracker.widgetAdded.connect((_, panel) => watch(panel));

    void settings
      ?.load(SETTINGS)
      .then(loaded => {
        const read = () => {
          shown.badges = loaded.composite.badges !== false;
          shown.underlines = loaded.composite.underlines !== false;
          watches.forEach(each => {
            each.redraw();
            each.refresh();
          });
        };
        loaded.changed.connect(read);
        read();
      })
      .catch(error => console.warn('MLRun: the settings could not be read; the defaults are used.', error));

    const activeCell = () => {
      const panel = tracker.currentWidget;
      const cell = panel?.content.activeCell;
      return panel && cell instanceof CodeCell && !cell.model.sharedModel.isDisposed ? { panel, cell } : null;
    };
    const stands = () => {
      const found = activeCell();
      return found !== null && isFunctionCell(found.cell.model.sharedModel.getSource());
    };
    commands.addCommand(Commands.turnIntoFunction, {
      label: () => (stands() ? trans.__('Edit Function…') : trans.__('Turn into Function…')),
      caption: trans.__('Make an MLRun function of the cell: its parameters, inputs and outputs'),
      icon: mlrunIcon,
      isEnabled: () => activeCell() !== null && !readOnly(activeCell()!.panel, activeCell()!.cell.model),
      isVisible: () => activeCell() !== null,
      execute: async () => {
        const found = activeCell();
        const following = found && watches.get(found.panel);
        if (!found || !following) {
          return;
        }
        const { panel, cell } = found;
        const shared = cell.model.sharedModel;
        const source = shared.getSource();
        if (!split(source).body.trim()) {
          Notification.warning(trans.__('The cell is empty. Write code that is to become a function first.'), {
            autoClose: 5000
          });
          return;
        }
        const project = following.project;
        const cells = following.executed.cells(cell.model.id);
        const text = await askForFunction({
          source,
          name: suggestName(source, headingAbove(panel, cell)),
          known: project === model.project ? model.functions.items.map(each => each.name) : [],
          analyse: (text, name) =>
            model.client.send<Analysis>('POST', 'cells/analyse', {
              source: text,
              name,
              project,
              cells,
              folder: following.folder
            }),
          trans
        });
        if (cell.isDisposed) {
          return;
        }
        if (text !== null && shared.getSource() !== source) {
          Notification.warning(trans.__('The cell was changed meanwhile, so the line was not written. Try again.'));
        } else if (text !== null && text !== source) {
          // only what differs at the top, so that cursors below stay, and one undo takes it away
          let same = 0;
          while (
            same < source.length &&
            same < text.length &&
            source[source.length - 1 - same] === text[text.length - 1 - same]
          ) {
            same++;
          }
          shared.transact(() => shared.updateSource(0, source.length - same, text.slice(0, text.length - same)));
        }
        panel.content.activate();
      }
    });
    // labels and the toolbar button follow the cell
    tracker.activeCellChanged.connect(() => commands.notifyCommandChanged(Commands.turnIntoFunction));

    const projectOf = () => {
      const panel = tracker.currentWidget;
      return (panel && watches.get(panel)?.project) || model.project;
    };
    completers?.registerProvider(new Completer(model, projectOf, mlrunIcon));
    extensions?.addExtension({
      name: 'mlrun-jupyter:help',
      factory: () =>
        EditorExtensionRegistry.createImmutableExtension(hover(place => helpFor(model, place, projectOf())))
    });
  }
};

function readOnly(panel: NotebookPanel, cell: ICellModel): boolean {
  return Boolean(panel.content.model?.readOnly) || cell.getMetadata('editable') === false;
}

/** The text of the heading right above a cell, if that is what stands there. */
function headingAbove(panel: NotebookPanel, cell: CodeCell): string {
  const cells = panel.content.widgets;
  const above = cells[cells.indexOf(cell) - 1];
  const text = above?.model.type === 'markdown' ? above.model.sharedModel.getSource() : '';
  return /^#+\s+(.+)$/m.exec(text)?.[1] ?? '';
}
