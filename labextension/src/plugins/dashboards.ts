/** MLflow and Dask's dashboard in the main area. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Commands } from '../commands';
import { DashboardName, DashboardView, WHOLE } from '../dashboards/view';
import { isDark } from '../theme';
import { IModel } from '../tokens';
import { addView } from '../views/open';

export const dashboards: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:dashboards',
  description: 'MLflow, and the dashboard of the Dask cluster, beside the panel.',
  autoStart: true,
  requires: [IModel],
  optional: [ITranslator, ILayoutRestorer, ICommandPalette, IThemeManager],
  activate: (
    app: JupyterFrontEnd,
    model: IModel,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    themes: IThemeManager | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const kinds: [DashboardName, string, string, string][] = [
      ['mlflow', Commands.openMlflow, trans.__('Open MLflow'), trans.__('MLflow')],
      ['dask', Commands.openDask, trans.__('Open Dask Dashboard'), trans.__('Dask')]
    ];
    for (const [name, command, label, title] of kinds) {
      addView(app, restorer, {
        command,
        label,
        namespace: `mlrun-${name}`,
        keyOf: args => String(args.uid ?? WHOLE),
        create: uid => {
          const run = model.runs.items.find(each => each.uid === uid);
          const more = uid === WHOLE ? '' : ` · ${run?.name ?? uid.slice(0, 8)}`;
          return new DashboardView(name, uid, title + more, model, () => isDark(themes), trans);
        }
      });
      palette?.addItem({ command, category: trans.__('MLRun') });
    }
  }
};
