/** The view of a function. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { Commands } from '../commands';
import { FunctionView } from '../functions/view';
import { IModel } from '../tokens';
import { addView } from '../views/open';

/** `{project, name, version}`, or a `uri` of the form `project/name@hash`. */
function named(args: ReadonlyPartialJSONObject): { project: string; name: string; version: string } {
  const [, project, name, version] = /^([^/]+)\/([^@:]+)(?:@([0-9a-f]+))?/.exec(String(args.uri ?? '')) ?? [];
  const found = {
    project: String(args.project ?? project ?? ''),
    name: String(args.name ?? name ?? ''),
    version: String(args.version ?? version ?? '')
  };
  if (!found.project || !found.name) {
    throw new Error(
      'Give the function, as in {"project": "flights", "name": "train"} or {"uri": "flights/train@3fa4…"}.'
    );
  }
  return found;
}

export const fun: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:function',
  description: 'A view of a function in the main area.',
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
    const services = {
      rendermime,
      openRun: (uid: string) => void app.commands.execute(Commands.openRun, { uid }),
      compare: (uids: string[]) => void app.commands.execute(Commands.compare, { uids })
    };
    addView(app, restorer, {
      command: Commands.openFunction,
      label: trans.__('Open a Function'),
      namespace: 'mlrun-function',
      keyOf: args => {
        const { project, name, version } = named(args);
        return `${project}-${name}-${version}`;
      },
      create: (key, args) => {
        const { project, name, version } = named(args);
        return new FunctionView(key, project, name, version, model, services, trans);
      }
    });
  }
};
