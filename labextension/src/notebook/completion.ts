/** Completion of `%%mlrun` and `%mlrun` lines; other lines are none of its business. */
import { CompletionHandler, ICompletionContext, ICompletionProvider } from '@jupyterlab/completer';
import { LabIcon } from '@jupyterlab/ui-components';
import type { Completions } from '../api/types';
import type { IModel } from '../tokens';
import { IPlace, placeOf } from './place';

export class Completer implements ICompletionProvider {
  readonly identifier = 'mlrun-jupyter:completer';
  readonly rank = 400;

  constructor(
    private readonly _model: IModel,
    private readonly _projectOf: (context: ICompletionContext) => string,
    private readonly _icon: LabIcon
  ) {}

  async isApplicable(context: ICompletionContext): Promise<boolean> {
    const editor = context.editor;
    if (!editor || !editor.model.sharedModel.getSource().includes('%mlrun')) {
      return false;
    }
    return placeOf(editor.model.sharedModel.getSource(), editor.getOffsetAt(editor.getCursorPosition())) !== null;
  }

  async fetch(
    request: CompletionHandler.IRequest,
    context: ICompletionContext
  ): Promise<CompletionHandler.ICompletionItemsReply> {
    const place = placeOf(request.text, request.offset);
    if (!place) {
      return { start: request.offset, end: request.offset, items: [] };
    }
    const found = await words(this._model, place, this._projectOf(context));
    const items = found.items.map(each => ({
      label: each.text,
      insertText: each.text,
      documentation: each.doc,
      type: place.kind,
      icon: this._icon
    }));
    return { start: place.start, end: request.offset, items };
  }
}

/** What the server proposes for a place. */
export function words(model: IModel, place: IPlace, project: string): Promise<Completions> {
  return model.client.get<Completions>('complete', {
    kind: place.kind,
    prefix: place.prefix,
    project: project || model.project,
    function: place.function,
    option: place.option
  });
}

/** What the server says of exactly this word. */
export async function helpFor(model: IModel, place: IPlace, project: string): Promise<string> {
  const found = await words(model, place, project);
  return found.items.find(each => each.text === place.prefix)?.doc ?? '';
}
