/** The main-area view of one artifact. */
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { FormEvent, useEffect, useState } from 'react';
import { ArtifactDetail, ArtifactSummary, Page } from '../api/types';
import { ago, bytes } from '../format';
import { mlrunIcon } from '../icon';
import { Model } from '../model';
import { StateMark, useTrans } from '../parts';
import { useMissed } from '../run/use';
import { Button, CodeLine, Facts, Link, Loaded, Part, View, attempt, copied, useLoad } from '../views/pieces';
import { kindOf, loadLine } from './kinds';
import { Preview } from './preview';

export interface IOpens {
  run(uid: string): void;
  artifact(uri: string): void;
}

export class ArtifactView extends View {
  constructor(
    uri: string,
    private readonly _model: Model,
    private readonly _opens: IOpens,
    trans: TranslationBundle
  ) {
    super(uri, { uri }, 'mlrun-artifact', mlrunIcon, trans);
    this.title.label = uri.slice(uri.lastIndexOf('/') + 1).split(/[@:#]/)[0];
  }

  protected body() {
    return (
      <Body
        uri={this.key}
        model={this._model}
        opens={this._opens}
        named={name => (this.title.label = name)}
        close={() => this.parent?.dispose()}
      />
    );
  }
}

interface IBody {
  uri: string;
  model: Model;
  opens: IOpens;
  named(name: string): void;
  close(): void;
}

function Body({ uri, model, opens, named, close }: IBody) {
  const trans = useTrans();
  const loaded = useLoad(
    async () => {
      const found = await model.client.get<ArtifactDetail>('artifact', { uri });
      named(found.key);
      return found;
    },
    [uri],
    useMissed(model)
  );
  const { again } = loaded;
  useEffect(() => {
    const changed = (_: Model, next: ArtifactSummary) => {
      if (next.uri === uri) {
        again();
      }
    };
    model.artifactChanged.connect(changed);
    return () => void model.artifactChanged.disconnect(changed);
  }, [uri]);
  return (
    <div className="mlrun-Page">
      <Loaded
        of={loaded}
        draw={artifact => (
          <>
            <Head artifact={artifact} model={model} close={close} again={again} />
            <div className="mlrun-Columns">
              <About artifact={artifact} opens={opens} />
              <Uses artifact={artifact} opens={opens} />
            </div>
            <Part title={trans.__('Load it')}>
              <CodeLine code={loadLine(artifact)} />
            </Part>
            <Part title={trans.__('Content')}>
              <Preview artifact={artifact} client={model.client} />
            </Part>
            <Versions artifact={artifact} model={model} opens={opens} />
          </>
        )}
      />
    </div>
  );
}

function Head(props: { artifact: ArtifactDetail; model: Model; close(): void; again(): void }) {
  const { artifact, model } = props;
  const trans = useTrans();
  const remove = () =>
    attempt(async () => {
      const answer = await showDialog({
        title: trans.__('Delete "%1"?', artifact.key),
        body: trans.__(
          'Its record is deleted now, its content with the next "mlrun-jupyter gc". Runs that read it stay.'
        ),
        buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Delete') })]
      });
      if (answer.button.accept) {
        await model.client.send('DELETE', `artifact?uri=${encodeURIComponent(artifact.uri)}`);
        props.close();
      }
    });
  const folder = kindOf(artifact) === 'folder' || artifact.files.length > 0;
  return (
    <header>
      <h1>{artifact.key}</h1>
      <span className="mlrun-Badge">{artifact.kind}</span>
      <Tags artifact={artifact} model={model} again={props.again} />
      <span className="mlrun-Buttons" role="toolbar" aria-label={trans.__('Artifact')}>
        <Button onClick={() => copied(trans, artifact.uri)}>{trans.__('Copy URI')}</Button>
        {!folder && (
          <a
            className="jp-Button jp-mod-styled jp-mod-reject"
            href={model.client.url('artifact/content', { uri: artifact.uri, download: true })}
            download
          >
            {trans.__('Download')}
          </a>
        )}
        <Button onClick={() => void remove()}>{trans.__('Delete…')}</Button>
      </span>
    </header>
  );
}

function Tags({ artifact, model, again }: { artifact: ArtifactDetail; model: Model; again(): void }) {
  const trans = useTrans();
  const [text, setText] = useState<string | null>(null);
  const save = (event: FormEvent) => {
    event.preventDefault();
    void attempt(async () => {
      await model.client.send('POST', 'artifact/tag', { uri: artifact.uri, tag: text!.trim() });
      setText(null);
      again();
    });
  };
  return (
    <span className="mlrun-Tags">
      {artifact.tags.map(each => (
        <span key={each} className="mlrun-Tag">
          {each}
        </span>
      ))}
      {text === null ? (
        <Button look="minimal" onClick={() => setText('')}>
          {trans.__('Add tag')}
        </Button>
      ) : (
        <form onSubmit={save}>
          <input
            className="jp-mod-styled"
            autoFocus
            value={text}
            aria-label={trans.__('Tag; moved here when another version has it')}
            placeholder={trans.__('tag')}
            onChange={event => setText(event.target.value)}
            onKeyDown={event => event.key === 'Escape' && setText(null)}
          />
          <button className="jp-Button jp-mod-styled jp-mod-accept" disabled={!text.trim()}>
            {trans.__('Tag it')}
          </button>
        </form>
      )}
    </span>
  );
}

function About({ artifact, opens }: { artifact: ArtifactDetail; opens: IOpens }) {
  const trans = useTrans();
  const { producer } = artifact;
  const uid = producer.kind === 'run' ? producer.uri.slice(producer.uri.lastIndexOf('/') + 1) : '';
  return (
    <Part title={trans.__('About')}>
      <Facts
        facts={[
          [trans.__('made by'), uid ? <Link onClick={() => opens.run(uid)}>{producer.name}</Link> : producer.name],
          [trans.__('created'), artifact.created && new Date(artifact.created).toLocaleString()],
          [trans.__('size'), bytes(artifact.size)],
          [trans.__('format'), artifact.format],
          [trans.__('description'), artifact.description],
          ...Object.entries(artifact.labels),
          [trans.__('location'), artifact.location],
          [trans.__('digest'), artifact.digest]
        ]}
      />
    </Part>
  );
}

function Uses({ artifact, opens }: { artifact: ArtifactDetail; opens: IOpens }) {
  const trans = useTrans();
  const readers = artifact.uses.filter(each => each.direction === 'in');
  return (
    <Part title={trans.__('Read by')}>
      {readers.length ? (
        <ul className="mlrun-Lines">
          {readers.map((each, at) => (
            <li key={at}>
              {each.state && <StateMark state={each.state as any} bare />}
              {each.title ? (
                <Link onClick={() => opens.run(each.run)}>{each.title}</Link>
              ) : (
                <span className="mlrun-Dim">{trans.__('a run that was deleted')}</span>
              )}
              <span className="mlrun-Dim">{trans.__('as %1', each.name)}</span>
              <code className="mlrun-Dim">{each.run.slice(0, 12)}</code>
            </li>
          ))}
        </ul>
      ) : (
        <p className="mlrun-Dim">{trans.__('No run has read it yet.')}</p>
      )}
    </Part>
  );
}

function Versions({ artifact, model, opens }: { artifact: ArtifactDetail; model: Model; opens: IOpens }) {
  const trans = useTrans();
  const path = `projects/${encodeURIComponent(artifact.project)}/artifacts`;
  const loaded = useLoad(
    () => model.client.get<Page<ArtifactSummary>>(path, { name: artifact.db_key, limit: 100 }),
    [path, artifact.db_key],
    artifact
  );
  return (
    <Part title={trans.__('Versions')}>
      <Loaded
        of={loaded}
        draw={page => (
          <>
            <ul className="mlrun-Lines">
              {page.items.map(each => (
                <li key={each.uri} aria-current={each.uri === artifact.uri ? 'true' : undefined}>
                  {each.uri === artifact.uri ? (
                    <strong>{trans.__('this one')}</strong>
                  ) : (
                    <Link onClick={() => opens.artifact(each.uri)}>{new Date(each.created).toLocaleString()}</Link>
                  )}
                  <span className="mlrun-Dim">{ago(each.created)}</span>
                  <span className="mlrun-Dim">{bytes(each.size)}</span>
                  {each.tags.map(tag => (
                    <span key={tag} className="mlrun-Tag">
                      {tag}
                    </span>
                  ))}
                </li>
              ))}
            </ul>
            {page.next_page_token && <p className="mlrun-Dim">{trans.__('The newest hundred.')}</p>}
          </>
        )}
      />
    </Part>
  );
}
