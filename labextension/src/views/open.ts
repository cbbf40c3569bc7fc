/** Opening views in the main area: one tab for one thing, found again after a reload. */
import { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { Widget } from '@lumino/widgets';

/** A view of one thing, which `args` of its command name. */
export interface IView extends Widget {
  /** Tells views of one kind apart. */
  readonly key: string;
  /** What the command takes to open it again. */
  readonly args: ReadonlyPartialJSONObject;
}

export interface IViewKind<T extends IView> {
  command: string;
  label: string;
  /** Of its widgets' ids. */
  namespace: string;
  /** @throws Error saying what is missing. */
  keyOf(args: ReadonlyPartialJSONObject): string;
  create(key: string, args: ReadonlyPartialJSONObject): T;
}

/** Adds the command that opens views of one kind, and has them restored with the layout. */
export function addView<T extends IView>(app: JupyterFrontEnd, restorer: ILayoutRestorer | null, kind: IViewKind<T>) {
  const tracker = new WidgetTracker<MainAreaWidget<T>>({ namespace: kind.namespace });
  app.commands.addCommand(kind.command, {
    label: kind.label,
    execute: args => {
      const key = kind.keyOf(args);
      let widget = tracker.find(each => each.content.key === key);
      if (!widget) {
        widget = new MainAreaWidget({ content: kind.create(key, args) });
        widget.toolbar.hide();
        widget.id = `${kind.namespace}-tab-${key}`;
        void tracker.add(widget);
      }
      if (!widget.isAttached) {
        app.shell.add(widget, 'main');
      }
      if (!widget.isAttached) {
        // the main area of Notebook 7 holds the notebook alone
        app.shell.add(widget, 'right');
      }
      app.shell.activateById(widget.id);
      return widget;
    }
  });
  void restorer?.restore(tracker, {
    command: kind.command,
    args: widget => widget.content.args,
    name: widget => widget.content.key
  });
  return tracker;
}
