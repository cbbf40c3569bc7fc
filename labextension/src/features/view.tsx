/** The main-area view of a feature set or vector. */
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useState } from 'react';
import { IClient } from '../api/client';
import { FeatureDetail, FeatureSummary } from '../api/types';
import { Columns, Rows } from '../artifacts/table';
import { ago, value } from '../format';
import { mlrunIcon } from '../icon';
import { IOpens, Lineage, openNode } from '../lineage/view';
import { Model } from '../model';
import { Boundary, useTrans } from '../parts';
import { CodeBlock } from '../views/code';
import { useMissed } from '../run/use';
import { Button, Facts, Link, Loaded, Part, Tabs, View, copied, useLoad } from '../views/pieces';

export interface IFeatureServices extends IOpens {
  rendermime: IRenderMimeRegistry;
  /** Whether JupyterLab is dark now. */
  dark(): boolean;
}

export type Kind = FeatureSummary['kind'];

export class FeatureView extends View {
  constructor(
    key: string,
    private readonly _project: string,
    private readonly _kind: Kind,
    private readonly _name: string,
    private readonly _model: Model,
    private readonly _services: IFeatureServices,
    trans: TranslationBundle
  ) {
    super(key, { project: _project, kind: _kind, name: _name }, 'mlrun-feature', mlrunIcon, trans);
    this.title.label = _name.split(/[@:]/)[0];
    this.title.caption = `${_project}/${_name}`;
  }

  protected body() {
    return (
      <Body project={this._project} kind={this._kind} name={this._name} model={this._model} services={this._services} />
    );
  }
}

interface IBody {
  project: string;
  kind: Kind;
  name: string;
  model: Model;
  services: IFeatureServices;
}

type Tab = 'columns' | 'rows' | 'versions' | 'lineage' | 'code' | 'dashboard';

function Body({ project, kind, name, model, services }: IBody) {
  const trans = useTrans();
  const [tab, setTab] = useState<Tab>('columns');
  const path = `projects/${encodeURIComponent(project)}/${kind}s/${encodeURIComponent(name)}`;
  const loaded = useLoad(() => model.client.get<FeatureDetail>(path), [path], useMissed(model));
  const { again } = loaded;
  useEffect(() => {
    const changed = (_: Model, next: FeatureSummary) => {
      if (next.project === project && next.kind === kind && next.name === name.split(/[@:]/)[0]) {
        again();
      }
    };
    model.featureChanged.connect(changed);
    return () => void model.featureChanged.disconnect(changed);
  }, [path]);
  const tabs: (readonly [Tab, string])[] = [
    ['columns', trans.__('Columns')],
    ['rows', trans.__('Rows')],
    ['versions', trans.__('Versions')],
    ['lineage', trans.__('Lineage')],
    ['code', trans.__('Code')],
    ['dashboard', trans.__('Dashboard')]
  ];
  return (
    <div className="mlrun-Page">
      <Loaded
        of={loaded}
        draw={feature => (
          <>
            <Head feature={feature} />
            <About feature={feature} services={services} />
            <div className="mlrun-FeatureTabs">
              <Tabs label={trans.__('Parts')} at={tab} set={setTab} tabs={tabs} />
            </div>
            <div role="tabpanel" aria-label={tabs.find(([id]) => id === tab)![1]}>
              <Boundary name={tab} key={tab}>
                {tab === 'columns' && <Described feature={feature} />}
                {tab === 'rows' && <Preview feature={feature} />}
                {tab === 'versions' && <Versions feature={feature} services={services} />}
                {tab === 'lineage' && (
                  <Lineage
                    client={model.client}
                    path={`${path}/lineage`}
                    uid={feature.uri}
                    turn={feature.updated}
                    open={node => openNode(services, node)}
                  />
                )}
                {tab === 'code' && <Code feature={feature} registry={services.rendermime} />}
                {tab === 'dashboard' && (
                  <Dashboard feature={feature} client={model.client} path={path} dark={services.dark()} />
                )}
              </Boundary>
            </div>
          </>
        )}
      />
    </div>
  );
}

/** A page of its own, in a sandbox. The first one takes some seconds to make; it is asked for before it is shown. */
function Dashboard(props: { feature: FeatureDetail; client: IClient; path: string; dark: boolean }) {
  const { feature, client, path } = props;
  const trans = useTrans();
  const [query] = useState({ theme: props.dark ? 'dark' : 'default' });
  const loaded = useLoad(() => client.text(`${path}/dashboard`, query, 1), [path], feature.updated);
  return (
    <Loaded
      of={loaded}
      draw={() => (
        <iframe
          className="mlrun-Frame mlrun-mod-dashboard"
          sandbox="allow-scripts"
          title={trans.__('Dashboard of %1', feature.name)}
          src={client.url(`${path}/dashboard`, query)}
          key={feature.updated}
        />
      )}
    />
  );
}

function Head({ feature }: { feature: FeatureDetail }) {
  const trans = useTrans();
  return (
    <header>
      <h1>{feature.name}</h1>
      <span className="mlrun-Badge">
        {feature.kind === 'feature-set' ? trans.__('feature set') : trans.__('feature vector')}
      </span>
      <span className="mlrun-Tags">
        {feature.tags.map(each => (
          <span key={each} className="mlrun-Tag">
            {each}
          </span>
        ))}
      </span>
      <span className="mlrun-Buttons" role="toolbar" aria-label={trans.__('Features')}>
        <Button onClick={() => copied(trans, feature.use)}>{trans.__('Copy Code')}</Button>
        <Button onClick={() => copied(trans, feature.uri)}>{trans.__('Copy URI')}</Button>
      </span>
      {feature.description && <p className="mlrun-Feature-said">{feature.description}</p>}
    </header>
  );
}

function About({ feature, services }: { feature: FeatureDetail; services: IFeatureServices }) {
  const trans = useTrans();
  const { online } = feature;
  const newest = feature.columns.find(each => each.name === feature.timestamp_key)?.stats.max as string | undefined;
  const when = (iso: string) => `${new Date(iso).toLocaleString()}, ${ago(iso)}`;
  return (
    <Part title={trans.__('About')}>
      <div className="mlrun-Feature-about">
        <Facts
          facts={[
            [
              trans.__('rows'),
              feature.version < 0 && feature.kind === 'feature-set'
                ? trans.__('none yet')
                : feature.rows.toLocaleString()
            ],
            [trans.__('version'), feature.version < 0 ? '' : String(feature.version)],
            [
              trans.__('ingested'),
              feature.run ? (
                <Link onClick={() => services.openRun(feature.run)}>{ago(feature.updated)}</Link>
              ) : (
                feature.updated && ago(feature.updated)
              )
            ],
            [trans.__('newest event'), newest ? when(newest) : ''],
            [trans.__('online'), online ? trans.__('%1 entities', online.rows.toLocaleString()) : ''],
            [
              trans.__('in quarantine'),
              feature.quarantined ? trans.__('%1 rows', feature.quarantined.toLocaleString()) : ''
            ],
            [trans.__('keys'), feature.entities.join(', ')],
            [trans.__('time'), feature.timestamp_key],
            [trans.__('known at'), feature.known_at],
            [trans.__('time to live'), feature.ttl],
            [trans.__('label'), feature.label],
            [trans.__('owner'), feature.owner],
            [trans.__('source'), feature.source],
            ...Object.entries(feature.labels)
          ]}
        />
      </div>
      {feature.read.length > 0 && (
        <p className="mlrun-Dim">
          {trans.__('Read last from %1.', feature.read.map(each => `${each.set} version ${each.version}`).join(', '))}
        </p>
      )}
    </Part>
  );
}

const columnsOf = (feature: FeatureDetail) =>
  feature.columns.map(each => ({ name: each.name, type: each.value_type, stats: each.stats as Record<string, any> }));

function Described({ feature }: { feature: FeatureDetail }) {
  const trans = useTrans();
  if (!feature.columns.length) {
    return feature.kind === 'feature-set' ? (
      <p className="mlrun-Empty">{trans.__('Nothing is known of its columns before rows are ingested.')}</p>
    ) : (
      <>
        <ul className="mlrun-Lines">
          {feature.references.map(each => (
            <li key={each}>
              <code>{each}</code>
            </li>
          ))}
        </ul>
        <p className="mlrun-Dim">{trans.__('What its columns are like is known once it was read.')}</p>
      </>
    );
  }
  const said = feature.columns.filter(each => each.description || each.validator || each.role !== 'feature');
  return (
    <>
      <Columns columns={columnsOf(feature)} length={feature.rows} />
      {said.length > 0 && (
        <table className="mlrun-Table mlrun-Feature-roles">
          <thead>
            <tr>
              <th scope="col">{trans.__('column')}</th>
              <th scope="col">{trans.__('role')}</th>
              <th scope="col">{trans.__('checked for')}</th>
              <th scope="col">{trans.__('description')}</th>
            </tr>
          </thead>
          <tbody>
            {said.map(each => (
              <tr key={each.name}>
                <th scope="row">{each.name}</th>
                <td>{each.role}</td>
                <td>{each.validator}</td>
                <td>{each.description}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function Preview({ feature }: { feature: FeatureDetail }) {
  const trans = useTrans();
  const [head, ...rows] = feature.preview as unknown[][];
  if (!head) {
    return (
      <p className="mlrun-Empty">
        {feature.kind === 'feature-set'
          ? trans.__('No rows yet. Ingest some: fset.ingest(frame), or %mlrun ingest %1 FILE.', feature.name)
          : trans.__('The rows of a vector are made when it is asked for: vector.get_offline_features().')}
      </p>
    );
  }
  const known = new Map(columnsOf(feature).map(each => [each.name, each]));
  const columns = head.map(name => known.get(String(name)) ?? { name: String(name), type: '', stats: {} });
  return <Rows columns={columns} rows={rows.map((row, at) => [at, ...row])} length={feature.rows} />;
}

function Versions({ feature, services }: { feature: FeatureDetail; services: IFeatureServices }) {
  const trans = useTrans();
  return (
    <div className="mlrun-Columns">
      {feature.kind === 'feature-set' && (
        <Part title={trans.__('Of the table')}>
          {feature.history.length ? (
            <table className="mlrun-Table">
              <thead>
                <tr>
                  <th scope="col" data-number>
                    {trans.__('version')}
                  </th>
                  <th scope="col">{trans.__('time')}</th>
                  <th scope="col">{trans.__('what')}</th>
                  <th scope="col" data-number>
                    {trans.__('rows')}
                  </th>
                  <th scope="col">{trans.__('run')}</th>
                </tr>
              </thead>
              <tbody>
                {feature.history.map(each => (
                  <tr key={each.version}>
                    <td data-number>{each.version}</td>
                    <td title={each.time}>{ago(each.time)}</td>
                    <td>{each.operation.toLowerCase()}</td>
                    <td data-number>{each.rows === null ? '' : value(each.rows)}</td>
                    <td>
                      {each.run && <Link onClick={() => services.openRun(each.run)}>{each.run.slice(0, 12)}</Link>}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          ) : (
            <p className="mlrun-Dim">{trans.__('No rows yet.')}</p>
          )}
        </Part>
      )}
      <Part title={trans.__('Of the definition')}>
        <ul className="mlrun-Lines">
          {feature.versions.map(each => (
            <li key={each.hash} aria-current={each.hash === feature.hash ? 'true' : undefined}>
              {each.hash === feature.hash ? (
                <strong>
                  <code>{each.hash.slice(0, 12)}</code>
                </strong>
              ) : (
                <Link onClick={() => services.openStored(`${feature.uri.split('@')[0]}@${each.hash}`)}>
                  {each.hash.slice(0, 12)}
                </Link>
              )}
              <span className="mlrun-Dim">{ago(each.created)}</span>
              {each.tags.map(tag => (
                <span key={tag} className="mlrun-Tag">
                  {tag}
                </span>
              ))}
            </li>
          ))}
        </ul>
      </Part>
    </div>
  );
}

function Code({ feature, registry }: { feature: FeatureDetail; registry: IRenderMimeRegistry }) {
  const trans = useTrans();
  return (
    <>
      <Part title={trans.__('Use it')}>
        <CodeBlock source={feature.use} language="python" registry={registry} />
      </Part>
      {feature.steps.length > 0 && (
        <Part title={trans.__('Steps')}>
          <p>{feature.steps.map(each => each.name).join(' → ')}</p>
          <p className="mlrun-Dim mlrun-Feature-certificate">{feature.certificate}</p>
        </Part>
      )}
      <Part title={trans.__('Definition')}>
        <CodeBlock source={feature.yaml} language="yaml" registry={registry} />
      </Part>
    </>
  );
}
