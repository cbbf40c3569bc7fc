/** The item of the status bar: how many runs go on, and whether the server answers. */
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import { mlrunIcon } from './icon';
import type { IModel } from './tokens';

export class StatusItem extends ReactWidget {
  constructor(
    private readonly _model: IModel,
    private readonly _open: () => void,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('mlrun-Status');
  }

  render() {
    return (
      <UseSignal signal={this._model.changed}>
        {() => <Item model={this._model} open={this._open} trans={this._trans} />}
      </UseSignal>
    );
  }
}

function Item({ model, open, trans }: { model: IModel; open(): void; trans: TranslationBundle }) {
  const running = model.running;
  const offline = model.online === false;
  const text = offline ? trans.__('offline') : running ? trans._n('%1 running', '%1 running', running, running) : '';
  const project = model.project ? trans.__('MLRun project %1', model.project) : trans.__('MLRun');
  const more = offline
    ? trans.__('The server cannot be reached. Runs go on without it.')
    : trans._n('%1 run goes on.', '%1 runs go on.', running, running);
  return (
    <button
      className="mlrun-Status-button jp-mod-highlighted"
      data-offline={offline}
      data-running={running > 0 && !offline}
      onClick={open}
      title={`${project}. ${more}`}
      aria-label={`${project}. ${more} ${trans.__('Show the panel.')}`}
    >
      <mlrunIcon.react tag="span" width="16px" height="16px" aria-hidden="true" />
      {text && <span>{text}</span>}
    </button>
  );
}
