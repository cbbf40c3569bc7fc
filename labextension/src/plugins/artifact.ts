/** The view of an artifact. */
import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { ArtifactView } from '../artifacts/view';
import { Commands } from '../commands';
import { IModel } from '../tokens';
import { addView } from '../views/open';

export const artifact: JupyterFrontEndPlugin<void> = {
  id: 'mlrun-jupyter:artifact',
  description: 'A view of an artifact in the main area.',
  autoStart: true,
  requires: [IModel],
  optional: [ITranslator, ILayoutRestorer],
  activate: (app: JupyterFrontEnd, model: IModel, translator: ITranslator | null, restorer: ILayoutRestorer | null) => {
    const trans = (translator ?? nullTranslator).load('mlrun_jupyter');
    const opens = {
      run: (uid: string) => void app.commands.execute(Commands.openRun, { uid }),
      artifact: (uri: string) => void app.commands.execute(Commands.openArtifact, { uri })
    };
    addView(app, restorer, {
      command: Commands.openArtifact,
      label: trans.__('Open an Artifact'),
      namespace: 'mlrun-artifact',
      keyOf: args => {
        if (!args.uri) {
          throw new Error('Give the URI of the artifact, as in {"uri": "store://…"}.');
        }
        return String(args.uri);
      },
      create: uri => new ArtifactView(uri, model, opens, trans)
    });
  }
};
