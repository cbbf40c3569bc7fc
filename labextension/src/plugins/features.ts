/** Feature sets and vectors: their section in the panel, and their view. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IThemeManager } from '@jupyterlab/apputils';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { createElement } from 'react';
import { Commands, commandOf } from '../commands';
import { FeaturesSection } from '../features/section';
import { FeatureView, Kind } from '../features/view';
import { isDark } from '../theme';
import { IModel, ISections } from '../tokens';
import { addView } from '../views/open';

interface INamed {
  project: string;
  kind: Kind;
  name: string;
}

/** `{project, kind, name}`, or a `uri` of the form `store://feature-sets/project/name@hash`. */
export function named(args: ReadonlyPartialJSONObject): INamed {
  const [, kind, project, name] =
    /^store:\/\/(feature-set|feature-vector)s\/([^/]+)\/([^/]+)$/.exec(String(args.uri ?? '')) ?? [];
  const found = {
    project: String(args.project ?? project ?? ''),
    kind: String(args.kind ?? kind ?? 'feature-set') as Kind,
    name: String(args.name ?? name ?? '')
  };
  if (!found.project || !found.name || !['feature-set', 'feature-vector'].includes(found.kind)) {
    throw new Error(
      'Give the features, as in {"project": "flights", "kind": "feature-set", "name": "weather"} or {"uri": "store://feature-sets/flights/weather"}.'
    );
  }
  return found;
}

export const features: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:features',
  description: 'Feature sets and vectors: a section of the panel, and a view in the main area.',
  autoStart: true,
  requires: [IModel, ISections, IRenderMimeRegistry],
  optional: [ITranslator, ILayoutRestorer, IThemeManager],
  activate: (
    app: JupyterFrontEnd,
    model: IModel,
    registry: ISections,
    rendermime: IRenderMimeRegistry,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    themes: IThemeManager | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const run = (command: string, args: ReadonlyPartialJSONObject) => void app.commands.execute(command, args);
    registry.add({
      id: 'features',
      title: trans.__('Features'),
      rank: 50,
      count: of => of.features.count,
      render: of =>
        createElement(FeaturesSection, {
          model: of,
          open: each => run(Commands.openFeature, { project: each.project, kind: each.kind, name: each.name })
        })
    });
    const services = {
      rendermime,
      dark: () => isDark(themes),
      openRun: (uid: string) => run(Commands.openRun, { uid }),
      openFunction: (uri: string) => run(Commands.openFunction, { uri }),
      openStored: (uri: string) => run(commandOf(uri), { uri })
    };
    addView(app, restorer, {
      command: Commands.openFeature,
      label: trans.__('Open a Feature Set or Vector'),
      namespace: 'mlrun-feature',
      keyOf: args => {
        const { project, kind, name } = named(args);
        return `${project}-${kind}-${name}`;
      },
      create: (key, args) => {
        const { project, kind, name } = named(args);
        return new FeatureView(key, project, kind, name, model, services, trans);
      }
    });
  }
};
