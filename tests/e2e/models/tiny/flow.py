from corntriton import flow


@flow
def tiny(request, c):
    text = request.get("text")
    if "audio" in request:
        text = c.listen(pcm=request["audio"]).text
    captions = [c.caption(image=image).caption for image in request.each("images")]
    answer = c.compose(text=text, captions=captions).text
    if request.parameter("loud", False):
        answer = c.shout(text=answer).text
    result = {"answer": answer}
    if request.wants("story") or request.wants("speech"):
        result["story"] = c.tell(text=answer).story
    if request.wants("speech"):
        result["speech"] = c.voice(text=result["story"].chunks("sentence")).pcm
    return result
