"""Which components a request to omni visits."""

from corntriton import InvalidRequestError, flow


@flow
def omni(request, c):
    """Answers the typed question, else the spoken one; draws the spoken wish, else the typed one."""
    if "text" not in request and "audio" not in request:
        raise InvalidRequestError("the request brings neither text nor audio")
    typed, spoken = request.get("text"), None
    if "audio" in request:
        spoken = c.asr_decoder(states=c.asr_encoder(pcm=request["audio"]).states).text
    question = spoken if typed is None else typed
    wish = typed if spoken is None else spoken
    read_aloud = request.parameter("read_aloud", False)  # the speech is the text itself, not an answer

    outputs = {"transcript": spoken}
    if request.wants("image"):
        outputs["image"] = c.painter(embedding=c.embedder(text=wish).embedding).png
    if request.wants("answer") or (request.wants("speech") and not read_aloud):
        seen = [c.ocr(image=image).text for image in request.each("images")]
        shown = [c.ocr(image=frame).text for frame in request.each("frames")]
        outputs["answer"] = c.chat(prompt=question, context=seen + shown).text
    if request.wants("speech"):
        said = question if read_aloud else outputs["answer"]
        outputs["speech"] = c.voice(text=said.chunks("sentence")).pcm
    return outputs
