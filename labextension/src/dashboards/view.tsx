/** MLflow's pages, or Dask's dashboard, in a frame that has an origin of its own. */
import { TranslationBundle } from '@jupyterlab/translation';
import { launchIcon, refreshIcon } from '@jupyterlab/ui-components';
import { useEffect, useState } from 'react';
import { ApiError } from '../api/client';
import { Opened } from '../api/types';
import { mlrunIcon } from '../icon';
import { Model } from '../model';
import { ErrorBox, useTrans } from '../parts';
import { View, useLoad } from '../views/pieces';

export type DashboardName = 'mlflow' | 'dask';

/** Of a run, of which a dashboard can show more. */
export const WHOLE = 'all';

// the server says the same for whoever opens the address by itself
const POWERS = 'allow-scripts allow-forms allow-downloads allow-modals allow-popups';

export class DashboardView extends View {
  constructor(
    private readonly _name: DashboardName,
    key: string,
    label: string,
    private readonly _model: Model,
    private readonly _dark: () => boolean,
    trans: TranslationBundle
  ) {
    super(key, key === WHOLE ? {} : { uid: key }, `mlrun-${_name}`, mlrunIcon, trans);
    this.title.label = label;
    this.title.caption = label;
    this.addClass('mlrun-mod-dashboard');
  }

  protected body() {
    return (
      <Body
        name={this._name}
        uid={this.key === WHOLE ? '' : this.key}
        title={this.title.label}
        model={this._model}
        dark={this._dark}
      />
    );
  }
}

interface IBody {
  name: DashboardName;
  uid: string;
  title: string;
  model: Model;
  dark(): boolean;
}

function Body({ name, uid, title, model, dark }: IBody) {
  const trans = useTrans();
  const [turn, setTurn] = useState(0);
  const [asking, setAsking] = useState(true);
  const loaded = useLoad(() => {
    setAsking(true);
    return model.client.send<Opened>('POST', `dashboards/${name}`, { run: uid }).finally(() => setAsking(false));
  }, [name, uid, turn]);
  useEffect(() => {
    // with another server the address is another one; with the same server it stays, and the frame is left alone
    let before = model.online;
    const changed = () => {
      if (model.online && before === false) {
        loaded.again();
      }
      before = model.online;
    };
    model.changed.connect(changed);
    return () => void model.changed.disconnect(changed);
  }, [model]);
  const again = () => setTurn(last => last + 1);
  if (loaded.error && !asking) {
    return <Failed error={loaded.error} retry={again} />;
  }
  if (loaded.error || !loaded.value) {
    return <Waiting name={name} />;
  }
  const { path, external } = loaded.value;
  if (external) {
    return (
      <div className="mlrun-Dashboard-note">
        <h1>{title}</h1>
        <p>{trans.__('Runs are sent to a tracking server, which has an address and a login of its own.')}</p>
        <a
          className="jp-Button jp-mod-styled jp-mod-accept mlrun-ButtonLink"
          href={external}
          target="_blank"
          rel="noopener noreferrer"
        >
          {trans.__('Open %1', external)}
        </a>
      </div>
    );
  }
  const address = model.client.url(path);
  return (
    <>
      <div className="mlrun-Dashboard-bar" role="toolbar" aria-label={trans.__('Actions')}>
        <span>{uid ? trans.__('run %1', uid.slice(0, 12)) : ''}</span>
        <button
          type="button"
          className="jp-Button jp-mod-minimal"
          title={trans.__('Load again')}
          aria-label={trans.__('Load again')}
          onClick={again}
        >
          <refreshIcon.react tag="span" />
        </button>
        <a
          className="jp-Button jp-mod-minimal"
          href={address}
          target="_blank"
          rel="noopener noreferrer"
          title={trans.__('Open in a tab of the browser')}
          aria-label={trans.__('Open in a tab of the browser')}
        >
          <launchIcon.react tag="span" />
        </a>
      </div>
      <iframe
        key={`${turn} ${address}`}
        className="mlrun-Dashboard"
        // the page reads it before it draws itself
        name={`theme=${dark() ? 'dark' : 'light'}`}
        sandbox={POWERS}
        referrerPolicy="no-referrer"
        src={address}
        title={title}
      />
    </>
  );
}

function Waiting({ name }: { name: DashboardName }) {
  const trans = useTrans();
  return (
    <div className="mlrun-Dashboard-note" role="status">
      <div className="mlrun-Dashboard-wait" aria-hidden="true" />
      <p>
        {name === 'mlflow'
          ? trans.__('MLflow starts. The first time it takes up to half a minute; after that it is there at once.')
          : trans.__('Looking for the Dask cluster…')}
      </p>
    </div>
  );
}

function Failed({ error, retry }: { error: ApiError; retry(): void }) {
  return (
    <div className="mlrun-Dashboard-note">
      <ErrorBox error={error} retry={retry} />
    </div>
  );
}
