/** The side panel: the project, then sections one above the other. */
import { InputDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import {
  HTMLSelect,
  ReactWidget,
  UseSignal,
  addIcon,
  caretDownIcon,
  caretRightIcon,
  refreshIcon
} from '@jupyterlab/ui-components';
import { useState } from 'react';
import { mlrunIcon } from '../icon';
import { Model } from '../model';
import { Boundary, ErrorBox, Trans, useTrans } from '../parts';
import { ISections } from '../tokens';
import { attempt } from '../views/pieces';
import { Empty } from './filtered';

/** Which sections are open; kept from one day to the next. */
export interface IPanelMemory {
  open: Record<string, boolean>;
  keep(open: Record<string, boolean>): void;
}

export class Panel extends ReactWidget {
  constructor(
    private readonly _model: Model,
    private readonly _sections: ISections,
    memory: Promise<IPanelMemory>,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.id = 'mlrun-panel';
    this.title.icon = mlrunIcon;
    this.title.caption = _trans.__('MLRun: functions, runs and artifacts');
    this.addClass('mlrun-Panel');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'MLRun');
    void memory.then(found => {
      this._known = found;
      this.update();
    });
  }

  render() {
    const memory = this._known;
    return (
      memory && (
        <Trans.Provider value={this._trans}>
          <UseSignal signal={this._model.changed}>
            {() => (
              <UseSignal signal={this._sections.changed}>
                {() => <Body model={this._model} sections={this._sections} memory={memory} />}
              </UseSignal>
            )}
          </UseSignal>
        </Trans.Provider>
      )
    );
  }

  private _known: IPanelMemory | null = null;
}

function Body({ model, sections, memory }: { model: Model; sections: ISections; memory: IPanelMemory }) {
  const trans = useTrans();
  const [open, setOpen] = useState<Record<string, boolean>>(memory.open);
  const toggle = (id: string) => {
    const next = { ...open, [id]: !open[id] };
    setOpen(next);
    memory.keep(next);
  };
  if (model.startError && !model.project) {
    return <ErrorBox error={model.startError} retry={() => void model.start()} />;
  }
  const create = async () => {
    const answer = await InputDialog.getText({
      title: trans.__('New project'),
      label: trans.__('Name: a-z, 0-9 and “-”'),
      okLabel: trans.__('Create')
    });
    const name = answer.value?.trim();
    if (answer.button.accept && name) {
      await attempt(async () => {
        const made = await model.client.send<{ name: string }>('POST', 'projects', { name });
        await model.start(made.name);
        await model.open(made.name);
      });
    }
  };
  return (
    <>
      <div className="mlrun-Head">
        <HTMLSelect
          aria-label={trans.__('Project')}
          value={model.project}
          onChange={event => void model.open(event.target.value)}
        >
          {model.projects.map(each => (
            <option key={each.name}>{each.name}</option>
          ))}
        </HTMLSelect>
        <button
          type="button"
          className="jp-Button jp-mod-minimal"
          title={trans.__('New project')}
          aria-label={trans.__('New project')}
          onClick={() => void create()}
        >
          <addIcon.react tag="span" />
        </button>
        <button
          type="button"
          className="jp-Button jp-mod-minimal"
          title={trans.__('Read the lists again')}
          aria-label={trans.__('Read the lists again')}
          onClick={() => void model.start()}
        >
          <refreshIcon.react tag="span" />
        </button>
      </div>
      {model.online === false && (
        <div className="mlrun-Offline" role="status">
          {trans.__('No connection. What is shown may be old; runs go on.')}
        </div>
      )}
      {model.online && !model.project && (
        <Empty>
          {trans.__('No project yet. Execute a cell with %1 and it appears here, or make one with +.', '%%mlrun')}
        </Empty>
      )}
      {sections.list().map(section => (
        <section key={section.id} className="mlrun-Section" data-open={!!open[section.id]} data-section={section.id}>
          <button
            type="button"
            className="mlrun-Section-head"
            aria-expanded={!!open[section.id]}
            onClick={() => toggle(section.id)}
          >
            {open[section.id] ? <caretDownIcon.react tag="span" /> : <caretRightIcon.react tag="span" />}
            <span>{section.title}</span>
            <span className="mlrun-Section-count">{section.count?.(model)}</span>
          </button>
          {open[section.id] && <Boundary name={section.title}>{section.render(model)}</Boundary>}
        </section>
      ))}
    </>
  );
}
