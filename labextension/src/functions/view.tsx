/** The view of a function: its versions, code, what it takes, a form to run it, and its runs. */
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactNode, useState } from 'react';
import { FunctionDetail, FunctionSummary, Page, RunSummary } from '../api/types';
import { RunForm, startRun } from '../form/form';
import { ago, duration, value } from '../format';
import { mlrunIcon } from '../icon';
import { Model } from '../model';
import { Boundary, ErrorBox, StateMark, useTrans } from '../parts';
import { useFollowed, useMissed } from '../run/use';
import { CodeBlock } from '../views/code';
import { Button, CodeLine, Facts, Link, Loaded, Part, Tabs, View, useLoad } from '../views/pieces';
import { Diff } from './diff';
import { useVersions } from './use';

export interface IFunctionServices {
  rendermime: IRenderMimeRegistry;
  openRun(uid: string): void;
  compare(uids: string[]): void;
}

export class FunctionView extends View {
  constructor(
    key: string,
    private readonly _project: string,
    private readonly _name: string,
    private readonly _version: string,
    private readonly _model: Model,
    private readonly _services: IFunctionServices,
    trans: TranslationBundle
  ) {
    super(key, { project: _project, name: _name, version: _version }, 'mlrun-function', mlrunIcon, trans);
    this.title.label = _name;
    this.title.caption = `${_project}/${_name}`;
  }

  protected body() {
    return (
      <Body
        project={this._project}
        name={this._name}
        first={this._version}
        model={this._model}
        services={this._services}
      />
    );
  }
}

interface IBody {
  project: string;
  name: string;
  first: string;
  model: Model;
  services: IFunctionServices;
}

type Tab = 'run' | 'code' | 'versions' | 'runs';

function Body({ project, name, first, model, services }: IBody) {
  const trans = useTrans();
  const [tab, setTab] = useState<Tab>('run');
  const [hash, setHash] = useState(first);
  const base = `projects/${encodeURIComponent(project)}/functions`;
  const turn = useVersions(model, project, name);
  const versions = useLoad(
    () => model.client.get<Page<FunctionSummary>>(`${base}/${encodeURIComponent(name)}/versions`, { limit: 200 }),
    [base, name],
    turn
  );
  const detail = useLoad(
    () => model.client.get<FunctionDetail>(`${base}/${encodeURIComponent(hash ? `${name}@${hash}` : name)}`),
    [base, name, hash],
    hash ? 0 : turn
  );
  const tabs: (readonly [Tab, string])[] = [
    ['run', trans.__('Run')],
    ['code', trans.__('Code')],
    ['versions', trans.__('Versions')],
    ['runs', trans.__('Runs')]
  ];
  return (
    <Loaded
      of={detail}
      draw={found => (
        <div className="mlrun-Page mlrun-Function">
          <header>
            <h1>{found.name}</h1>
            <code className="mlrun-Dim">{found.hash.slice(0, 12)}</code>
            {found.tags.map(each => (
              <span key={each} className="mlrun-Tag">
                {each}
              </span>
            ))}
            {hash && (
              <Button look="minimal" onClick={() => setHash('')}>
                {trans.__('Show the latest')}
              </Button>
            )}
          </header>
          {found.description && <p>{found.description}</p>}
          <Tabs label={trans.__('Parts of the function')} tabs={tabs} at={tab} set={setTab} />
          <div role="tabpanel" aria-label={tabs.find(([id]) => id === tab)![1]}>
            <Boundary name={tab} key={tab}>
              {tab === 'run' && (
                <Part title={trans.__('Run it')}>
                  <RunForm
                    key={found.hash}
                    client={model.client}
                    detail={found}
                    label={trans.__('Run')}
                    send={async request => services.openRun((await startRun(model.client, found, request)).uid)}
                  />
                </Part>
              )}
              {tab === 'code' && <Spec detail={found} registry={services.rendermime} />}
              {tab === 'versions' && (
                <Versions base={base} at={found} versions={versions} model={model} show={setHash} />
              )}
              {tab === 'runs' && <Runs project={project} name={name} model={model} services={services} />}
            </Boundary>
          </div>
        </div>
      )}
    />
  );
}

function Spec({ detail, registry }: { detail: FunctionDetail; registry: IRenderMimeRegistry }) {
  const trans = useTrans();
  const taken: [string, string, ReactNode, string][] = [
    ...detail.parameters.map(
      each =>
        [
          each.name,
          each.type || trans.__('any'),
          each.required ? trans.__('required') : value(each.default),
          each.doc
        ] as [string, string, ReactNode, string]
    ),
    ...detail.inputs.map(
      each =>
        [
          each.name,
          each.type ? `${trans.__('input')}, ${each.type}` : trans.__('input'),
          each.required ? trans.__('required') : each.default,
          each.doc
        ] as [string, string, ReactNode, string]
    )
  ];
  return (
    <>
      <CodeLine code={`project.get_function("${detail.name}@${detail.hash.slice(0, 12)}")`} />
      {taken.length > 0 && (
        <Part title={trans.__('It takes')}>
          <div className="mlrun-Scroll" tabIndex={0} role="region" aria-label={trans.__('It takes')}>
            <table className="mlrun-Table">
              <thead>
                <tr>
                  {[trans.__('name'), trans.__('type'), trans.__('default'), trans.__('meaning')].map(each => (
                    <th key={each} scope="col">
                      {each}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {taken.map(([name, type, preset, doc]) => (
                  <tr key={name}>
                    <th scope="row">{name}</th>
                    <td>{type}</td>
                    <td>{preset}</td>
                    <td>{doc}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Part>
      )}
      <div className="mlrun-Columns">
        <Part title={trans.__('It gives')}>
          <Facts
            facts={
              detail.returns.length
                ? detail.returns.map(each => [each.name, each.type || trans.__('by its value')])
                : [[trans.__('outputs'), trans.__('what it returns or logs')]]
            }
          />
        </Part>
        <Part title={trans.__('How it runs')}>
          <Facts
            facts={[
              [trans.__('kind'), detail.kind],
              [trans.__('handler'), detail.handler],
              [trans.__('timeout'), detail.timeout ? `${detail.timeout} s` : ''],
              [trans.__('retries'), detail.retries ? String(detail.retries) : ''],
              [trans.__('packages'), detail.packages.join(', ')],
              [trans.__('requirements'), detail.requirements.join(', ')],
              ...Object.entries(detail.resources).map(([name, each]) => [name, value(each)] as const)
            ]}
          />
        </Part>
        <Part title={trans.__('Where it is from')}>
          <Facts
            facts={[
              [trans.__('notebook'), detail.notebook],
              [trans.__('stored'), detail.created && new Date(detail.created).toLocaleString()],
              [trans.__('hash'), detail.hash],
              ...Object.entries(detail.labels)
            ]}
          />
        </Part>
      </div>
      {detail.code.map((cell, at) => (
        <Part key={at} title={cell.role === 'closure' ? trans.__('What it needs from other cells') : trans.__('Code')}>
          <CodeBlock source={cell.source} language="python" registry={registry} />
        </Part>
      ))}
      {detail.files.length > 0 && (
        <Part title={trans.__('Modules taken along')}>
          <ul>
            {detail.files.map(each => (
              <li key={String(each)}>{String(each)}</li>
            ))}
          </ul>
        </Part>
      )}
    </>
  );
}

interface IVersions {
  base: string;
  at: FunctionDetail;
  versions: { value: Page<FunctionSummary> | null; error: any; again(): void };
  model: Model;
  show(hash: string): void;
}

function Versions({ base, at, versions, model, show }: IVersions) {
  const trans = useTrans();
  const [other, setOther] = useState('');
  const all = versions.value?.items ?? [];
  const before = all[all.findIndex(each => each.hash === at.hash) + 1]?.hash ?? '';
  const chosen = other && other !== at.hash ? other : before;
  return (
    <>
      {versions.error && <ErrorBox error={versions.error} retry={versions.again} />}
      <Part title={trans.__('Versions, the newest first')}>
        <div className="mlrun-Scroll" tabIndex={0} role="region" aria-label={trans.__('Versions')}>
          <table className="mlrun-Table">
            <tbody>
              {all.map(each => (
                <tr key={each.hash} data-own={each.hash === at.hash}>
                  <th scope="row">
                    <Link onClick={() => show(each.hash)}>{each.hash.slice(0, 12)}</Link>
                  </th>
                  <td>{each.tags.join(', ')}</td>
                  <td title={each.created}>{ago(each.created)}</td>
                  <td>{each.description}</td>
                  <td>
                    {each.hash === at.hash ? (
                      <span className="mlrun-Dim">{trans.__('shown')}</span>
                    ) : (
                      <Button look="minimal" onClick={() => setOther(each.hash)}>
                        {trans.__('Compare with this')}
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Part>
      {chosen ? (
        <Part title={trans.__('From %1 to %2', chosen.slice(0, 8), at.hash.slice(0, 8))}>
          <Diff
            client={model.client}
            path={base.replace(/functions$/, 'functions-diff')}
            name={at.name}
            one={chosen}
            other={at.hash}
          />
        </Part>
      ) : (
        <p className="mlrun-Dim">{trans.__('There is no other version to compare it with.')}</p>
      )}
    </>
  );
}

function Runs({
  project,
  name,
  model,
  services
}: {
  project: string;
  name: string;
  model: Model;
  services: IFunctionServices;
}) {
  const trans = useTrans();
  const missed = useMissed(model);
  const loaded = useLoad(
    () =>
      model.client.get<Page<RunSummary>>(`projects/${encodeURIComponent(project)}/runs`, { function: name, limit: 50 }),
    [project, name],
    missed
  );
  const own = (next: RunSummary) => next.function.startsWith(`${project}/${name}@`) && !next.parent;
  const followed = useFollowed(model, loaded.value?.items, own, `${project}/${name}`);
  return (
    <Loaded
      of={loaded}
      draw={() => {
        const rows = [...followed].sort((one, other) => (one.uid < other.uid ? 1 : -1));
        if (!rows.length) {
          return <p className="mlrun-Empty">{trans.__('It has not been run yet. Start it from the tab “Run”.')}</p>;
        }
        return (
          <Part
            title={trans.__('Its runs, the newest first')}
            side={
              rows.length > 1 && (
                <Button look="minimal" onClick={() => services.compare(rows.slice(0, 10).map(each => each.uid))}>
                  {trans.__('Compare the newest %1', Math.min(10, rows.length))}
                </Button>
              )
            }
          >
            <div className="mlrun-Scroll" tabIndex={0} role="region" aria-label={trans.__('Runs')}>
              <table className="mlrun-Table">
                <tbody>
                  {rows.map(each => (
                    <tr key={each.uid}>
                      <th scope="row">
                        <Link onClick={() => services.openRun(each.uid)}>
                          <StateMark state={each.state} /> {each.name}
                        </Link>
                      </th>
                      <td>{ago(each.created)}</td>
                      <td>{duration(each.duration)}</td>
                      <td>
                        {Object.entries(each.parameters)
                          .map(([key, given]) => `${key}=${value(given)}`)
                          .join(', ')}
                      </td>
                      <td>
                        {each.cause ||
                          Object.entries(each.results)
                            .map(([key, given]) => `${key} ${value(given)}`)
                            .join(', ')}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </Part>
        );
      }}
    />
  );
}
