/** What is in an artifact, drawn by its kind. */
import { useEffect, useState } from 'react';
import { IClient } from '../api/client';
import { parse } from '../api/json';
import { ArtifactDetail } from '../api/types';
import { bytes, value as shown } from '../format';
import { Boundary, useTrans } from '../parts';
import { Button, Facts, Loaded, useLoad } from '../views/pieces';
import { Shown, kindOf, shownAs } from './kinds';
import { ColumnSketch, DatasetPreview } from './table';
import { JsonTree } from './tree';

const CONTENT = 'artifact/content';
/** Of a text, that is read. */
const BYTES = 200_000;
/** Of JSON, that is made a tree. */
const TREE_BYTES = 2_000_000;

/** The preview of an artifact that is known by its URI. */
export function PreviewOf({ uri, client }: { uri: string; client: IClient }) {
  const loaded = useLoad(() => client.get<ArtifactDetail>('artifact', { uri }), [uri]);
  return <Loaded of={loaded} draw={artifact => <Preview artifact={artifact} client={client} />} />;
}

export function Preview({ artifact, client }: { artifact: ArtifactDetail; client: IClient }) {
  const kind = kindOf(artifact);
  return (
    <Boundary name={artifact.key}>
      {kind === 'dataset' ? (
        <DatasetPreview artifact={artifact} />
      ) : kind === 'model' ? (
        <ModelPreview artifact={artifact} client={client} />
      ) : kind === 'folder' ? (
        <Files artifact={artifact} client={client} />
      ) : (
        <Content artifact={artifact} client={client} path="" size={artifact.size} name={nameOf(artifact)} />
      )}
    </Boundary>
  );
}

function nameOf(artifact: ArtifactDetail): string {
  return shownAs(artifact.location) !== 'none' ? artifact.location : `x.${artifact.format}`;
}

interface IContent {
  artifact: ArtifactDetail;
  client: IClient;
  path: string;
  name: string;
  size: number;
}

function Content({ artifact, client, path, name, size }: IContent) {
  const trans = useTrans();
  const how: Shown = shownAs(name);
  const query = { uri: artifact.uri, path: path || undefined };
  const title = path || artifact.key;
  const [failed, setFailed] = useState(false);
  useEffect(() => setFailed(false), [artifact.uri, path]);
  if (failed) {
    return <p className="mlrun-Dim">{trans.__('The image cannot be shown; its content may be gone or damaged.')}</p>;
  }
  if (how === 'image') {
    return (
      <img
        className="mlrun-Image"
        src={client.url(CONTENT, query)}
        alt={trans.__('Image %1', title)}
        onError={() => setFailed(true)}
      />
    );
  }
  if (how === 'page') {
    // an origin of its own: it may hold any script. The server sends a sandbox as well
    return <iframe className="mlrun-Frame" sandbox="allow-scripts" src={client.url(CONTENT, query)} title={title} />;
  }
  if (how === 'json' || how === 'text') {
    return <TextContent client={client} query={query} json={how === 'json'} size={size} />;
  }
  return (
    <p className="mlrun-Dim">
      {trans.__('%1 of a kind that cannot be shown here. Download it, or load it with the line of code.', bytes(size))}
    </p>
  );
}

function TextContent(props: {
  client: IClient;
  query: { uri: string; path: string | undefined };
  json: boolean;
  size: number;
}) {
  const trans = useTrans();
  const limit = props.json ? TREE_BYTES : BYTES;
  const loaded = useLoad(() => props.client.text(CONTENT, props.query, limit), [props.query.uri, props.query.path]);
  return (
    <Loaded
      of={loaded}
      draw={text => {
        const tree = props.json && props.size <= TREE_BYTES ? parsed(text) : undefined;
        return tree !== undefined ? (
          <div className="mlrun-Text">
            <JsonTree value={tree} />
          </div>
        ) : (
          <>
            <pre className="mlrun-Text" tabIndex={0}>
              {text.slice(0, BYTES) || trans.__('It is empty.')}
            </pre>
            {props.size > BYTES && (
              <p className="mlrun-Dim mlrun-Note">
                {trans.__('The first %1 of %2; download it to see the rest.', bytes(BYTES), bytes(props.size))}
              </p>
            )}
          </>
        );
      }}
    />
  );
}

function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch {
    // what is no JSON after all is shown as the text that it is
    return undefined;
  }
}

function Files({ artifact, client }: { artifact: ArtifactDetail; client: IClient }) {
  const trans = useTrans();
  const [path, setPath] = useState('');
  const at = artifact.files.find(each => each.path === path);
  if (!artifact.files.length) {
    return <p className="mlrun-Dim">{trans.__('No files are known of it.')}</p>;
  }
  return (
    <>
      <ul className="mlrun-Files">
        {artifact.files.map(each => (
          <li key={each.path} data-open={each.path === path}>
            <button
              type="button"
              className="mlrun-Link"
              aria-expanded={each.path === path}
              onClick={() => setPath(each.path === path ? '' : each.path)}
            >
              {each.path}
            </button>
            <span className="mlrun-Dim">{bytes(each.size)}</span>
            <a href={client.url(CONTENT, { uri: artifact.uri, path: each.path, download: true })} download>
              {trans.__('Download')}
            </a>
            {at && at.path === each.path && (
              <div className="mlrun-Files-content">
                <Content artifact={artifact} client={client} path={at.path} name={at.path} size={at.size} />
              </div>
            )}
          </li>
        ))}
      </ul>
      {artifact.files.length >= 1000 && <p className="mlrun-Dim">{trans.__('The first thousand files.')}</p>}
    </>
  );
}

function ModelPreview({ artifact, client }: { artifact: ArtifactDetail; client: IClient }) {
  const trans = useTrans();
  const [all, setAll] = useState(false);
  const spec = artifact.spec as Record<string, any>;
  const stats = (spec.feature_stats ?? {}) as Record<string, Record<string, any>>;
  const pairs = (of: unknown): [string, string][] =>
    Object.entries((of ?? {}) as Record<string, unknown>).map(([name, each]) => [name, shown(each)]);
  const inputs = (spec.inputs ?? []) as { name: string; value_type: string }[];
  const seen = all ? inputs : inputs.slice(0, 50);
  return (
    <div className="mlrun-Model">
      <div className="mlrun-Columns">
        <Group title={trans.__('Model')}>
          <Facts
            facts={[
              [trans.__('framework'), spec.framework],
              [trans.__('algorithm'), spec.algorithm],
              [trans.__('file'), spec.model_file],
              [trans.__('format'), artifact.format]
            ]}
          />
        </Group>
        {pairs(spec.metrics).length > 0 && (
          <Group title={trans.__('Metrics')}>
            <Facts facts={pairs(spec.metrics)} />
          </Group>
        )}
        {pairs(spec.parameters).length > 0 && (
          <Group title={trans.__('Parameters')}>
            <Facts facts={pairs(spec.parameters)} />
          </Group>
        )}
      </div>
      <Group title={trans.__('Signature')}>
        {inputs.length || (spec.outputs ?? []).length ? (
          <div className="mlrun-Scroll" tabIndex={0} role="region" aria-label={trans.__('Signature')}>
            <table className="mlrun-Table mlrun-mod-columns">
              <thead>
                <tr>
                  <th scope="col">{trans.__('name')}</th>
                  <th scope="col">{trans.__('type')}</th>
                  <th scope="col">{trans.__('in training')}</th>
                </tr>
              </thead>
              <tbody>
                {[...seen, ...(spec.outputs ?? [])].map((each, at) => (
                  <tr key={at}>
                    <th scope="row" title={each.name}>
                      {each.name}
                      {at >= seen.length && <span className="mlrun-Badge">{trans.__('predicted')}</span>}
                    </th>
                    <td className="mlrun-Table-type">{each.value_type}</td>
                    <td className="mlrun-Table-sketch">
                      {stats[each.name] && (
                        <ColumnSketch column={{ name: each.name, type: each.value_type, stats: stats[each.name] }} />
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        ) : (
          <p className="mlrun-Dim">
            {trans.__('Not recorded. Give log_model training_set=… and label_column=…, and it is.')}
          </p>
        )}
        {inputs.length > seen.length && (
          <Button look="minimal" onClick={() => setAll(true)}>
            {trans.__('All %1 inputs', inputs.length)}
          </Button>
        )}
      </Group>
      {artifact.files.length > 0 && (
        <Group title={trans.__('Files')}>
          <Files artifact={artifact} client={client} />
        </Group>
      )}
    </div>
  );
}

const Group = ({ title, children }: { title: string; children: React.ReactNode }) => (
  <div className="mlrun-Part">
    <h3>{title}</h3>
    {children}
  </div>
);
